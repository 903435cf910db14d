/**
 * What a killed worker leaves running: Git goes on, and changes the clones that the next worker
 * uses. So what this worker starts is marked with its process id, in the environment, which all
 * that it starts in turn inherits.
 */
import { readlink, realpath } from "node:fs/promises";
import { environmentOf, killAll, processesWhere } from "../../system/index.js";
import { isRunning } from "../files.js";

const VARIABLE = "OCLUSTER_WORKER";

/** The variables that mark a program as this process's. */
export const OWNER_MARK: Readonly<Record<string, string>> = { [VARIABLE]: String(process.pid) };

/**
 * Kills what workers that are gone have left running below `directory`; resolves when it is gone,
 * too.
 */
export async function endOrphans(directory: string): Promise<void> {
  const root = await realpath(directory);
  await killAll(() => processesWhere((pid) => isOrphan(pid, root)));
}

async function isOrphan(pid: number, root: string): Promise<boolean> {
  // It may be gone by now, or somebody else's.
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
  if (cwd !== root && !cwd.startsWith(`${root}/`)) return false;
  const environment = (await environmentOf(pid)).toString("latin1");
  const owner = new RegExp(`(?:^|\0)${VARIABLE}=(\\d+)\0`).exec(environment)?.[1];
  return owner !== undefined && !isRunning(Number(owner));
}
