/**
 * Batches under load: null rows of ours from the submit to their end, and processes that run `true`
 * by GNU parallel (Debian: parallel) and by HyperQueue (`HQ=path of hq`), where these are at hand,
 * on the same machine in the same run. Ours start no process: the two are for scale.
 *
 *     npm run bench:batch [-- ROWS [QUEUED]]     default: 20000 rows that run, 1000000 that are queued
 */
import { execFileSync, spawnSync } from "node:child_process";
import { batchQueue, batchThroughput } from "./scheduler/batches.js";
import { beScheduler } from "./scheduler/process.js";
import type { Figures } from "./scheduler/scenarios.js";

/** Processes that others run: they are slower. */
const PROCESSES = 2000;

function say(name: string, figures: Figures): void {
  console.log(name);
  for (const [figure, value] of Object.entries(figures)) {
    console.log(`  ${figure.padEnd(44)} ${value.toPrecision(4).padStart(10)}`);
  }
}

function perSecond(command: string, ...args: readonly string[]): number {
  const begun = performance.now();
  execFileSync(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  return PROCESSES / ((performance.now() - begun) / 1000);
}

const [first, second, ...rest] = process.argv.slice(2);
if (first === "--as-scheduler") {
  await beScheduler([second, ...rest][0]!);
} else {
  const rows = Number(first ?? 20_000);
  const queued = Number(second ?? 1_000_000);
  say(`${rows} null rows, TLS`, await batchThroughput(rows));
  say(`${queued} rows queued`, await batchQueue(queued));
  if (spawnSync("parallel", ["--version"]).status === 0) {
    say("GNU parallel, processes of true", {
      "processes/s": perSecond("sh", "-c", `seq ${PROCESSES} | parallel -j8 true {}`),
    });
  }
  const hq = process.env.HQ;
  if (hq !== undefined) {
    // With a server and a worker that are running already.
    const array = `1-${PROCESSES}`;
    say("HyperQueue, processes of true", {
      "processes/s": perSecond(
        hq,
        "submit",
        "--wait",
        `--array=${array}`,
        "--stdout=none",
        "--stderr=none",
        "true",
      ),
    });
  }
}
