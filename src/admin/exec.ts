/** `exec`: runs a command on this machine for each worker of a pool, such as `ssh {} uptime`. */
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { join } from "node:path";
import { PoolAdmin } from "../api/index.js";
import { CommandFailed } from "../console/index.js";
import type { Capability } from "../rpc/index.js";
import { ProgramError, start } from "../system/process.js";
import { quoted } from "../text/index.js";
import { withPool } from "./named-pool.js";

/** How many commands run at a time. */
const PARALLEL = 32;

/**
 * `{}` in the command stands for the worker's name. Fails if one of the commands does, when all
 * have ended; at once if this machine has no such program.
 */
export async function exec(
  admin: Capability,
  poolName: string,
  command: readonly string[],
): Promise<void> {
  const [program = ""] = command;
  if (!program.includes("{}")) await checkProgram(program);
  const workers = await withPool(admin, poolName, (pool) => PoolAdmin.workers(pool));
  const names = workers.map(({ name }) => name);
  const failures: string[] = [];
  const runNext = async (): Promise<void> => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      const failure = isHarmless(name, command)
        ? await run(command.map((arg) => arg.replaceAll("{}", () => name!)))
        : `Worker ${quoted(name)} is left out: its name is not fit for a command line`;
      if (failure !== null) failures.push(failure);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, runNext));
  if (failures.length > 0) throw new CommandFailed(failures.join("\n"));
}

/**
 * Looks for a program as starting it would. Rejects with `CommandFailed` if it cannot be started.
 */
async function checkProgram(program: string): Promise<void> {
  const places = program.includes("/")
    ? [program]
    : (process.env.PATH ?? DEFAULT_PATH).split(":").map((dir) => join(dir, program));
  for (const place of places) {
    const isProgram = await access(place, constants.X_OK).then(
      async () => (await stat(place)).isFile(),
      () => false,
    );
    if (isProgram) return;
  }
  const reason = program.includes("/")
    ? "it does not exist here, or is no program"
    : "no directory of PATH has such a program";
  throw new CommandFailed(`Cannot run ${quoted(program)}: ${reason}`);
}

/** What execvp(3) takes without a PATH. */
const DEFAULT_PATH = "/bin:/usr/bin";

/**
 * Workers choose their names: none may become an option of the command, such as `-oProxyCommand=…`
 * of ssh.
 */
function isHarmless(name: string, command: readonly string[]): boolean {
  return !command.some(
    (arg) =>
      (name.startsWith("-") && arg.startsWith("{}")) || (name.includes("\0") && arg.includes("{}")),
  );
}

/** Runs a command to its end. Returns what went wrong, if anything. */
async function run(argv: readonly string[]): Promise<string | null> {
  try {
    const { signal, status } = await start(argv, { stdio: "inherit", isUsers: true }).ended;
    if (signal !== undefined) return `Sub-process failed with signal ${signal}`;
    return status === 0 ? null : `Sub-process failed with exit code ${status}`;
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    return `Cannot run ${argv[0]}: ${(error.cause as Error).message}`;
  }
}
