/**
 * `npm run demo` on a clean clone: it shows the cluster at work, and leaves nothing behind however
 * it ends.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Clone } from "../support/clone.js";

let clone: Clone;

/** More than the demo allows itself, in ms. */
const LIMIT = 180_000;

beforeAll(() => {
  clone = Clone.make();
  clone.build();
}, LIMIT);

afterAll(() => clone.remove());

const NOTHING = { processes: [], mounts: [], files: [] };

/** Runs the demo to its end; `onOutput` sees all output so far. */
async function demo(onOutput: (output: string, pid: number) => void = () => {}) {
  const child = spawn(process.execPath, ["scripts/demo.mjs"], {
    cwd: clone.root,
    env: clone.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      onOutput(output, child.pid!);
    });
  }
  const [code] = await once(child, "close");
  return { code, output };
}

it(
  "builds a spec, builds it again from the cache, shows the pool, and cleans up",
  async () => {
    const { code, output } = await demo();
    expect(code, output).toBe(0);
    const results = output.match(/^Result: "[0-9a-f]{64}"$/gm);
    expect(results).toHaveLength(2);
    expect(results![0]).toBe(results![1]);
    expect(output.match(/^The sum is 10$/gm)).toHaveLength(2);
    expect(output.match(/---> saved as/g)).toHaveLength(3);
    // The worker has imported the base image when it checked itself.
    expect(output.match(/---> using .* from cache/g)).toHaveLength(5);
    expect(output).toMatch(/^capacity: 1$/m);
    expect(output).toMatch(/^ {2}my-worker \(0\): \[\] \(0 running\)/m);
    expect(output).toMatch(/Nothing is left: no process, no mount, no file\.\n$/);
    expect(clone.remains()).toEqual(NOTHING);
  },
  LIMIT,
);

it(
  "cleans up when it is interrupted in the middle of a job, and again and again",
  async () => {
    const { code, output } = await demo((output, pid) => {
      // Up to its last words: after them nobody is there to be interrupted.
      const begun = /^Collecting numbers$/m.test(output);
      if (begun && !/^Interrupted\.$/m.test(output)) process.kill(pid, "SIGINT");
    });
    expect(code, output).toBe(1);
    expect(output).toMatch(/Interrupted\.\n$/);
    expect(clone.remains()).toEqual(NOTHING);
  },
  LIMIT,
);

it(
  "cleans up when a program fails, and shows what it said",
  async () => {
    const worker = join(clone.root, "dist/bin/ocluster-worker.js");
    renameSync(worker, `${worker}.away`);
    try {
      writeFileSync(worker, 'console.error("no such thing"); process.exit(3);');
      const { code, output } = await demo();
      expect(code, output).toBe(1);
      expect(output).toContain("--- ocluster-worker said:\nno such thing\n");
      expect(output).toMatch(/ocluster-worker ended too early\.\n$/);
    } finally {
      renameSync(`${worker}.away`, worker);
    }
    expect(clone.remains()).toEqual(NOTHING);
  },
  LIMIT,
);
