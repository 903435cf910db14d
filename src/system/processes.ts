/*
 * Processes of this machine that are found by what they say of themselves in /proc, and signals for
 * them.
 */

import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** How long to wait before looking again whether a killed program is gone, in ms. */
const LOOK_AGAIN = 5;

/** The processes for which `isMeant` holds. Any can be gone by the time that it is asked about. */
export async function processesWhere(
  isMeant: (pid: number) => Promise<boolean>,
): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map(isMeant));
  return pids.filter((_, index) => found[index]);
}

/** `NAME=VALUE\0…` with which the process was started; empty if it is gone, or somebody else's. */
export async function environmentOf(pid: number): Promise<Buffer> {
  return await readFile(`/proc/${pid}/environ`).catch(() => Buffer.alloc(0));
}

/** The processes in whose environment `NAME=VALUE\0` is. Those that have ended have none. */
export function withEnvironment(variable: Buffer): Promise<number[]> {
  return processesWhere(async (pid) => (await environmentOf(pid)).includes(variable));
}

/**
 * Kills the processes that `find` finds, until it finds none. They may have started others in the
 * meantime.
 */
export async function killAll(find: () => Promise<number[]>): Promise<void> {
  for (;;) {
    const pids = await find();
    if (pids.length === 0) return;
    signalAll(pids, "SIGKILL");
    await delay(LOOK_AGAIN);
  }
}

/** Sends a signal to those of the processes that are still there. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
