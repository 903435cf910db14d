/**
 * The command line's grammar, ahead of commander's: what users of the reference's command lines are used to.
 *
 * Names of commands and long options may be cut short as long as they stay unique; `--opt VALUE` and `--opt=VALUE` are
 * the same; options may stand before the command; the capability file may be the first positional argument; errors name
 * the thing and the nearest alternative. The outcome is a command line in one canonical form, which commander cannot
 * misunderstand: it converts the values and calls the command.
 */

import { existsSync } from "node:fs";
import type { CommandUnknownOpts as Command } from "@commander-js/extra-typings";
import { UsageError } from "../console/index.js";

/** An option of a command, as commander describes it. */
type Option = Command["options"][number];

/** A command line that was understood. */
export interface Parsed {
  /** The command to run; the program itself where it has no commands, or where none was named. */
  readonly command: Command;
  /** The options given, with their values in order ("" for flags). */
  readonly given: ReadonlyMap<Option, readonly string[]>;
  readonly positional: readonly string[];
}

/** A command line that was not understood, with the command it was meant for, as far as known. */
export class BadCommandLine extends UsageError {
  constructor(
    message: string,
    readonly command: Command,
  ) {
    super(message);
  }
}

const repeatable = new WeakSet<Option>();

/** Allows an option to be given more than once; its parser accumulates. */
export function markRepeatable(option: Option): void {
  repeatable.add(option);
}

/** Reads the arguments after the program's name. Throws `BadCommandLine`. */
export function parse(program: Command, argv: readonly string[]): Parsed {
  const { command, rest } = findCommand(program, argv);
  const given = new Map<Option, string[]>();
  const positional: string[] = [];
  const tokens = [...rest];
  for (let token = tokens.shift(); token !== undefined; token = tokens.shift()) {
    if (token === "--") {
      positional.push(...tokens.splice(0));
    } else if (isOption(token)) {
      for (const { option, value } of readOption(command, token, tokens)) {
        const values = given.get(option) ?? [];
        if (option.required && values.length > 0 && !repeatable.has(option)) {
          throw new BadCommandLine(`option '${longest(option)}' cannot be repeated.`, command);
        }
        given.set(option, [...values, value]);
      }
    } else {
      positional.push(token);
    }
  }
  takeCapFile(command, given, positional);
  return { command, given, positional };
}

/** The same command line for commander: the command's names, options with their full names, then `--` and the rest. */
export function canonical({ command, given, positional }: Parsed): string[] {
  const options = [...given].flatMap(([option, values]) =>
    values.flatMap((value) => {
      if (!option.required) return [longest(option)];
      return option.long ? [`${option.long}=${value}`] : [longest(option), value];
    }),
  );
  return [...path(command).slice(1), ...options, "--", ...positional];
}

/** Throws `BadCommandLine` if an option or argument is missing, or one too many. */
export function checkComplete({ command, given, positional }: Parsed): void {
  if (command.commands.length > 0) {
    throw new BadCommandLine(
      `required COMMAND name is missing, must be one of ${alternatives(names(command))}.`,
      command,
    );
  }
  const options = command.options
    .filter((option) => option.mandatory && !given.has(option))
    .map(longest);
  if (options.length === 1) {
    throw new BadCommandLine(`required option ${options[0]} is missing`, command);
  }
  if (options.length > 1) {
    throw new BadCommandLine(`required options ${options.join(", ")} are missing`, command);
  }
  const { registeredArguments: args } = command;
  const missing = args.slice(positional.length).find((argument) => argument.required);
  if (missing) {
    throw new BadCommandLine(`required argument ${missing.name()} is missing`, command);
  }
  if (positional.length > args.length && !args.at(-1)?.variadic) {
    const extra = positional.slice(args.length).map(quoted).join(", ");
    throw new BadCommandLine(`too many arguments, don't know what to do with ${extra}`, command);
  }
}

/** The names that lead to a command, the program's own first. */
export function path(command: Command): string[] {
  return [...(command.parent ? path(command.parent) : []), command.name()];
}

/** Splits the command's name off; options before it are moved behind it. */
function findCommand(
  program: Command,
  argv: readonly string[],
): { command: Command; rest: readonly string[] } {
  if (program.commands.length === 0) return { command: program, rest: argv };
  const options = [program, ...program.commands].flatMap((command) => command.options);
  const ofProgram: string[] = [];
  let at = 0;
  for (let token = argv[0]; token !== undefined; token = argv[++at]) {
    if (!isOption(token) || token === "--") break;
    // Which command the option belongs to is not known yet; all it takes here is whether it takes the next token too.
    const { short, long, value } = splitToken(token);
    const [option] = long
      ? resolve(long, options, (candidate) => candidate.long)
      : options.filter((candidate) => candidate.short === short);
    if (!option) throw unknownOption(program, long ?? short!);
    if (program.options.includes(option)) ofProgram.push(token);
    if (option.required && value === undefined) at++;
  }
  const word = argv[at];
  if (word === undefined || word === "--") return { command: program, rest: ofProgram };
  const after = argv.slice(at + 1);
  if (word === "help") {
    const command = after[0] === undefined ? program : commandNamed(program, after[0]);
    return { command, rest: ["--help"] };
  }
  return { command: commandNamed(program, word), rest: [...argv.slice(0, at), ...after] };
}

/** Commands that are known by their whole names only: the abbreviations go on to mean what they mean to the reference. */
export const unabbreviated = new WeakSet<Command>();

function commandNamed(program: Command, word: string): Command {
  const named = program.commands.filter((command) =>
    [command.name(), ...command.aliases()].some((name) => name === word),
  );
  const begun = () =>
    program.commands.filter(
      (command) =>
        !unabbreviated.has(command) &&
        [command.name(), ...command.aliases()].some((name) => name.startsWith(word)),
    );
  const found = named.length > 0 ? named : begun();
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    const candidates = alternatives(found.map((command) => command.name()));
    throw new BadCommandLine(`command '${word}' ambiguous and could be ${candidates}`, program);
  }
  throw new BadCommandLine(`unknown command '${word}'${hint(word, names(program))}`, program);
}

function names(program: Command): string[] {
  return program.commands.map((command) => command.name()).sort();
}

function isOption(token: string): boolean {
  return token.length > 1 && token.startsWith("-");
}

function splitToken(token: string): { short?: string; long?: string; value?: string | undefined } {
  if (!token.startsWith("--")) {
    return { short: token.slice(0, 2), value: token.length > 2 ? token.slice(2) : undefined };
  }
  const at = token.indexOf("=");
  return at < 0 ? { long: token } : { long: token.slice(0, at), value: token.slice(at + 1) };
}

/** Things whose name is `word`, or else begins with it. */
function resolve<T>(
  word: string,
  things: readonly T[],
  nameOf: (thing: T) => string | undefined,
): T[] {
  const exact = things.filter((thing) => nameOf(thing) === word);
  return exact.length > 0 ? exact : things.filter((thing) => nameOf(thing)?.startsWith(word));
}

/** Reads one token, and the next one where it is the value; several flags may share one token (`-vv`). */
function readOption(
  command: Command,
  token: string,
  following: string[],
): { option: Option; value: string }[] {
  const { short, long, value } = splitToken(token);
  if (!long && value !== undefined) {
    const option = shortOption(command, short!);
    if (option.required) return [{ option, value }];
    return [{ option, value: "" }, ...readOption(command, `-${value}`, following)];
  }
  const option = long ? longOption(command, long) : shortOption(command, short!);
  if (!option.required) {
    // `--help=plain` and the like choose a format of the whole help in the reference.
    if (option.long === "--help") return [{ option, value: value ?? "" }];
    if (value !== undefined) {
      throw new BadCommandLine(
        `option '${longest(option)}' is a flag, it cannot take the argument '${value}'`,
        command,
      );
    }
    return [{ option, value: "" }];
  }
  if (value !== undefined) return [{ option, value }];
  const next = following[0];
  if (next === undefined || isOption(next)) {
    throw new BadCommandLine(`option '${longest(option)}' needs an argument`, command);
  }
  following.shift();
  return [{ option, value: next }];
}

function longOption(command: Command, word: string): Option {
  const found = resolve(word, command.options, (option) => option.long);
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    const candidates = alternatives(found.map(longest));
    throw new BadCommandLine(`option '${word}' ambiguous and could be ${candidates}`, command);
  }
  throw unknownOption(command, word);
}

function shortOption(command: Command, word: string): Option {
  const option = command.options.find((candidate) => candidate.short === word);
  if (!option) throw unknownOption(command, word);
  return option;
}

function unknownOption(command: Command, word: string): BadCommandLine {
  const known = command.options.flatMap((option) => option.long ?? []);
  return new BadCommandLine(`unknown option '${word}'${hint(word, known)}`, command);
}

/** Option `--connect`, or `-f` where there is no long name. */
function longest(option: Option): string {
  return option.long ?? option.short ?? option.flags;
}

/**
 * Older scripts give the capability file as the first positional argument. It is taken for one only if it looks like one,
 * so that who forgot `--connect` is told so.
 */
function takeCapFile(command: Command, given: Map<Option, string[]>, positional: string[]): void {
  const connect = command.options.find((option) => option.long === "--connect");
  const first = positional[0];
  if (!connect || given.has(connect) || first === undefined) return;
  if (first.endsWith(".cap") || (first.includes("/") && existsSync(first))) {
    positional.shift();
    given.set(connect, [first]);
  }
}

function quoted(word: string): string {
  return `'${word}'`;
}

/** `'a', 'b' or 'c'`; `either 'a' or 'b'`. */
function alternatives(words: readonly string[]): string {
  const all = words.map(quoted);
  const last = all.pop();
  if (all.length === 0) return String(last);
  return `${all.length === 1 ? "either " : ""}${all.join(", ")} or ${last}`;
}

/** `, did you mean 'x'?` for near misses, else a full stop. */
function hint(word: string, known: readonly string[]): string {
  // In a short word two changes leave nothing of it.
  const changes = word.length <= 4 ? 1 : 2;
  const near = known.filter((candidate) => distance(word, candidate) <= changes);
  return near.length === 0 ? "." : `, did you mean ${alternatives(near)}?`;
}

/** Number of single-character insertions, deletions, replacements and swaps of neighbours from `a` to `b`. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous: number[] = [];
  let current = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    [before, previous, current] = [previous, current, [i]];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current[j] = Math.min(previous[j]! + 1, current[j - 1]! + 1, replaced);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        current[j] = Math.min(current[j]!, before[j - 2]! + 1);
      }
    }
  }
  return current[b.length]!;
}
