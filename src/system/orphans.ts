/*
 * What becomes of the programs that a process has started when it is killed: they go on, and write
 * to where the next process on the same store works. So each is marked in its environment, which
 * all that it starts inherits (steps have environments of their own, and are known to the runtime),
 * and the next process ends those with its predecessor's mark.
 */

import { randomUUID } from "node:crypto";
import { killAll, withEnvironment } from "./processes.js";

const VARIABLE = "OBUILDER_OWNER";

/** This process's mark. */
export const OWNER_MARK = randomUUID();

/** The environment with the mark. */
export function marked(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, [VARIABLE]: OWNER_MARK };
}

/** Kills all programs with that mark; resolves when they are gone. */
export async function endOrphans(mark: string): Promise<void> {
  const variable = Buffer.from(`${VARIABLE}=${mark}\0`);
  await killAll(() => withEnvironment(variable));
}
