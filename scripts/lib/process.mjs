// Running other programs from the scripts, and the error that a user is meant to read.

import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The directory of package.json. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Something the user has to do; shown without a stack. */
export class SetUpError extends Error {}

/** Where administrators' programs are, which an ordinary user's PATH leaves out. */
const SYSTEM_PATH = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/**
 * The path of a program, or undefined if it is not installed.
 * @param {string} program
 */
export function which(program) {
  const path = (process.env.PATH ?? "").split(delimiter);
  return [...path, ...SYSTEM_PATH]
    .map((dir) => join(dir, program))
    .find((file) => isAccessible(file, constants.X_OK));
}

/**
 * @param {string} file
 * @param {number} [mode]
 */
export function isAccessible(file, mode = constants.F_OK) {
  try {
    accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a program with its output shown. Returns whether it succeeded.
 * @param {string} program
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env] in addition to this process's
 */
export function succeeds(program, args, env = {}) {
  const { status, error } = spawnSync(program, args, {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  if (error) throw new SetUpError(`Cannot run ${program}: ${error.message}`);
  return status === 0;
}

/**
 * Runs a program silently. Returns its standard output, also if it fails.
 * @param {string} program
 * @param {string[]} args
 */
export function outputOf(program, args) {
  return spawnSync(program, args, { cwd: ROOT, encoding: "utf8" }).stdout ?? "";
}

/**
 * Runs a program silently, unless it fails: then its output is shown. Returns whether it succeeded.
 * @param {string} program
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env in addition to this process's
 */
export function succeedsQuietly(program, args, env) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) console.error(`${stdout}${stderr}`);
  return status === 0;
}

/**
 * Runs `main` and ends the process: status 0, what it returns, or 1 with the message of its error.
 * @param {() => number | void | Promise<number | void>} main
 */
export async function runScript(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
