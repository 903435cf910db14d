/**
 * What our programs say, to the letter: a table's rows are command lines, and each is run as a user
 * would, its output compared as a whole.
 */
import { expect } from "vitest";
import { type ProgramName, run } from "../../support/programs.js";

export interface Transcript {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end. Ports of loopback, which differ from run to run, are `PORT` in what it
 * says.
 */
export async function transcript(
  program: ProgramName,
  args: readonly string[],
  cwd: string,
): Promise<Transcript> {
  const { code, stdout, stderr } = await run(program, args, { cwd });
  const plain = (text: string) => text.replace(/(127\.0\.0\.1:)\d+/g, "$1PORT");
  return { code, stdout: plain(stdout), stderr: plain(stderr) };
}

/**
 * The usage of each command of a program, as the second line of its complaints; "" is for the
 * program itself.
 */
export type Usages = Readonly<Record<string, string>>;

/**
 * Checks that a command line is refused with this message, the usage of `command` and a hint where
 * to find help.
 */
export async function expectRefusal(
  program: ProgramName,
  usages: Usages,
  { args, command, message }: { args: readonly string[]; command: string; message: string },
  cwd: string,
): Promise<void> {
  const name = command === "" ? program : `${program} ${command}`;
  const help = command === "" ? `'${program} --help'` : `'${name} --help' or '${program} --help'`;
  expect(await transcript(program, args, cwd)).toEqual({
    code: 124,
    stdout: "",
    stderr:
      `${program}: ${message}\n` +
      `Usage: ${name} ${usages[command]}\n` +
      `Try ${help} for more information.\n`,
  });
}

/** A row's command line as a test's name has it, and as words: they contain no blanks. */
export function words(line: string): string[] {
  return line.split(" ").filter((word) => word !== "");
}
