/*
 * What becomes of the programs that a process has started when it is killed: they go on, and write to where the next
 * process on the same store works. So each is marked in its environment, which all that it starts inherits (steps have
 * environments of their own, and are known to the runtime), and the next process ends those with its predecessor's mark.
 */

import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

const VARIABLE = "OBUILDER_OWNER";

/** This process's mark. */
export const OWNER_MARK = randomUUID();

/** How long to wait before looking again whether a killed program is gone, in ms. */
const LOOK_AGAIN = 5;

/** The environment with the mark. */
export function marked(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, [VARIABLE]: OWNER_MARK };
}

/** Kills all programs with that mark; resolves when they are gone. */
export async function endOrphans(mark: string): Promise<void> {
  const variable = Buffer.from(`${VARIABLE}=${mark}\0`);
  await killAll(() => withEnvironment(variable));
}

/** Kills the processes that `find` finds, until it finds none. They may have started others in the meantime. */
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

/** The processes in whose environment `NAME=VALUE\0` is. Those that have ended have none. */
export async function withEnvironment(variable: Buffer): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      // It may be gone by now.
      const environment = await readFile(`/proc/${pid}/environ`).catch(() => Buffer.alloc(0));
      return environment.includes(variable);
    }),
  );
  return pids.filter((_, index) => found[index]).map(Number);
}
