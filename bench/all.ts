/**
 * All benchmarks in their short form, one after the other: their figures as one table in Markdown,
 * with the machine's description.
 *
 *     npm run bench [-- FILE]     default: coverage/bench.md
 *
 * Takes some 15 minutes, of a machine that does nothing else. One that fails has no figures, and
 * the others are run all the same; the exit status tells. `OTHER_SCHEDULER` and `HQ` are as with
 * `bench:cluster` and `bench:batch`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { version } from "../src/console/index.js";
import { figureText, REPORT_FILE, type Reported } from "./report.js";

/** The names of their scripts in `package.json`, and what makes them short. */
const BENCHES: readonly (readonly [script: string, ...args: string[]])[] = [
  ["bench:cluster"],
  ["bench:scheduler", "history", "durable submits", "durable null jobs", "durable, 1,000 queued"],
  ["bench:batch"],
  ["bench:rpc", "sequential", "pipelined", "relay:"],
  ["bench:pool", "100000"],
  ["bench:obuilder", "3"],
  ["bench:files", "256", "5000", "10000"],
];

function machine(): string {
  const all = cpus();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  const [busy] = loadavg();
  return (
    `ocluster ${version}, ${new Date().toISOString().slice(0, 10)}: ${all.length} × ` +
    `${all[0]?.model ?? "processor"}, ${gigabytes} GB, Linux ${release()}, Node ${process.version}; ` +
    `load at the start ${busy!.toFixed(2)}.`
  );
}

/** What a benchmark has said, also if it failed then. */
async function run(script: string, args: readonly string[]): Promise<[Reported[], boolean]> {
  const directory = mkdtempSync(join(tmpdir(), "ocluster-bench-"));
  const file = join(directory, "report");
  writeFileSync(file, "");
  try {
    const child = spawn("npm", ["run", "--silent", script, "--", ...args], {
      stdio: "inherit",
      env: { ...process.env, [REPORT_FILE]: file },
    });
    const [status] = await once(child, "close");
    const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
    return [lines.map((line) => JSON.parse(line) as Reported), status === 0];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function rows(script: string, { figures, name }: Reported): string[] {
  return Object.entries(figures).map(
    ([figure, value]) => `| ${script} | ${name} | ${figure} | ${figureText(value)} |`,
  );
}

const out = process.argv[2] ?? "coverage/bench.md";
const text = [machine(), "", "| benchmark | what | figure | value |", "|---|---|---|--:|"];
for (const [script, ...args] of BENCHES) {
  const [reported, succeeded] = await run(script, args);
  text.push(...reported.flatMap((each) => rows(script, each)));
  if (succeeded) continue;
  text.push(`| ${script} | failed | | |`);
  process.exitCode = 1;
}
mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, `${text.join("\n")}\n`);
console.log(`The table is in ${out}`);
