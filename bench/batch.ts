/**
 * Batches under load: null rows of ours from the submit to their end, and rows that are queued;
 * then processes that run `true`: by ours, by GNU parallel (Debian: parallel), and by HyperQueue
 * (its package for Python, or `HQ=path of hq` with a server and a worker that run), where these are
 * at hand, on the same machine in the same run. Of the three, ours alone has each end on disk.
 *
 *     npm run bench:batch [-- ROWS [QUEUED]]     default: 20000 rows that run, 100000 that are queued
 *
 * The figures of a million are those of `-- 1000000 1000000`.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { report } from "./report.js";
import { batchProcesses, batchQueue, batchThroughput } from "./scheduler/batches.js";
import { beScheduler } from "./scheduler/process.js";

/** Processes, and how many run at a time. */
const PROCESSES = 2000;
const AT_A_TIME = 8;

const PYTHON = "python3";

function perSecond(command: string, ...args: readonly string[]): number {
  const begun = performance.now();
  execFileSync(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  return PROCESSES / ((performance.now() - begun) / 1000);
}

function isThere(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

/** HyperQueue's own figure; undefined if it is not here. */
function hyperQueue(): number | undefined {
  const { HQ } = process.env;
  if (HQ !== undefined) {
    const none = ["--stdout=none", "--stderr=none"];
    return perSecond(HQ, "submit", "--wait", `--array=1-${PROCESSES}`, ...none, "true");
  }
  if (!isThere(PYTHON, "-c", "import hyperqueue")) return undefined;
  const program = join(process.cwd(), "bench/hq-processes.py");
  const said = execFileSync(PYTHON, [program, `${PROCESSES}`, `${AT_A_TIME}`], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return Number(said.trim().split("\n").at(-1));
}

const [first, second, ...rest] = process.argv.slice(2);
if (first === "--as-scheduler") {
  await beScheduler([second, ...rest][0]!);
} else {
  const rows = Number(first ?? 20_000);
  const queued = Number(second ?? 100_000);
  report(`${rows} null rows, TLS`, await batchThroughput(rows, "bulk"));
  const few = Math.min(rows, 5000);
  report(`${few} null rows, TLS, one by one`, await batchThroughput(few, "one by one"));
  report(`${queued} rows queued`, await batchQueue(queued));
  const figures: Record<string, number> = {
    "ours, durable, TLS": await batchProcesses(PROCESSES, "true", AT_A_TIME),
  };
  if (isThere("parallel", "--version")) {
    const line = `seq ${PROCESSES} | parallel -j${AT_A_TIME} true {}`;
    figures["GNU parallel"] = perSecond("sh", "-c", line);
  }
  const others = hyperQueue();
  if (others !== undefined) figures.HyperQueue = others;
  report(`processes of true a second, ${AT_A_TIME} at a time`, figures);
}
