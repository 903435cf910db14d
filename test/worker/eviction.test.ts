/** Notices of eviction, names that are filled in, and workers that are told to end. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PoolAdmin, Retirement } from "../../src/api/index.js";
import { evictionNotice } from "../../src/worker/eviction.js";
import { WORKER_ID, workerName } from "../../src/worker/name.js";
import { outcome, puppets, SmallCluster } from "./small-cluster.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-eviction-"));
});
afterEach(() => {
  delete process.env[WORKER_ID];
  rmSync(dir, { recursive: true });
});

/** Whether there is a process of that id that has not been killed. */
function isRunning(pid: string): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

const never = new AbortController().signal;
const check = (command: string, timeoutMs = 10_000) =>
  evictionNotice({ command, everyMs: 10, timeoutMs }, never);

describe("a notice of eviction", () => {
  it("is there when the command succeeds, with what is left if it says so", async () => {
    expect(await check("echo 118")).toBe(118_000);
    expect(await check("echo ' 30.5 seconds'")).toBe(30_500);
    expect(await check("true")).toBeUndefined();
    expect(await check("echo soon; echo 7")).toBeUndefined();
  });

  it("is looked for until there is one, whatever goes wrong", async () => {
    const file = join(dir, "looks");
    const command = `echo x >> ${file}; case $(wc -l < ${file}) in
      1) exit 1 ;; 2) exit 127 ;; 3) kill -9 $$ ;; 4) sleep 1000 ;; *) echo 9 ;; esac`;
    expect(await check(command, 500)).toBe(9000);
  });

  it("leaves nothing behind of a look that hangs, or that prints without an end", async () => {
    const [looks, pids] = [join(dir, "looks"), join(dir, "pids")];
    const command = `echo x >> ${looks}; case $(wc -l < ${looks}) in
      1) sleep 1000 & echo $! >> ${pids}; sleep 1000 | cat ;;
      2) yes & echo $! >> ${pids}; wait ;;
      *) echo 9 ;; esac`;
    expect(await check(command, 2000)).toBe(9000);
    const left = readFileSync(pids, "utf8").trim().split("\n");
    expect(left).toHaveLength(2);
    // A zombie whose parent was killed may be there for a moment more.
    await expect.poll(() => left.filter((pid) => isRunning(pid))).toEqual([]);
  });

  it("is not looked for any more when the worker has ended", async () => {
    const over = new AbortController();
    const notice = evictionNotice({ command: "false", everyMs: 10 }, over.signal);
    over.abort(new Error("ended"));
    await expect(notice).rejects.toThrow("ended");
  });
});

describe("a name", () => {
  it("has the machine's name and an id filled in", () => {
    process.env[WORKER_ID] = "i-17";
    expect(workerName("{host}-{id}", dir)).toBe(`${hostname()}-i-17`);
    expect(workerName("{id}.{id}", dir)).toBe("i-17.i-17");
    expect(workerName("plain {name}", join(dir, "none"))).toBe("plain {name}");
    expect(existsSync(join(dir, "none"))).toBe(false);
  });

  it("takes an id as it is, whatever is in it", () => {
    process.env[WORKER_ID] = "$&{host}";
    expect(workerName("{id}", dir)).toBe("$&{host}");
  });

  it("is the same each time for a state directory, and another one for another", () => {
    const first = workerName("{id}", join(dir, "a"));
    expect(first).toMatch(/^[0-9a-f]{8}$/);
    expect(workerName("w-{id}", join(dir, "a"))).toBe(`w-${first}`);
    expect(workerName("{id}", join(dir, "b"))).not.toBe(first);
    writeFileSync(join(dir, "a/worker-id"), "\u001b[2Jnonsense");
    expect(workerName("{id}", join(dir, "a"))).toMatch(/^[0-9a-f]{8}$/);
  });
});

describe("a worker", () => {
  it("that is told to end finishes its jobs, and is forgotten if it is ephemeral", async () => {
    const { custom, end, started } = puppets();
    const cluster = await SmallCluster.open();
    try {
      await cluster.startWorker({ ephemeral: true, custom });
      const job = cluster.submit({ text: "one" });
      await started("one");
      {
        using remote = await cluster.remoteWorker();
        await Retirement.retire(remote, "not wanted");
      }
      end("one");
      expect((await outcome(job)).result).toBe("one is done");
      expect(await cluster.ended).toBe("stopped");
      const admin = await cluster.network.poolAdmin();
      await expect.poll(() => PoolAdmin.workers(admin)).toEqual([]);
    } finally {
      await cluster.close();
    }
  });
});
