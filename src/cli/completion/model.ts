/**
 * What a shell can complete on a command line: read off the declarations of the commands, so that
 * it is never out of date.
 */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { type DeclaredArgument, type DeclaredOption, factsOf, valueName } from "../option.js";

export interface CompletableProgram {
  readonly name: string;
  /** Empty for a program that is its own command. */
  readonly commands: readonly CompletableCommand[];
  /** Options that may stand before the command; all options where there are no commands. */
  readonly options: readonly CompletableOption[];
  readonly arguments: readonly Value[];
}

export interface CompletableCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletableOption[];
  readonly arguments: readonly Value[];
}

export interface CompletableOption {
  /** `--connect` and `-c`, as far as it has them. */
  readonly long: string | undefined;
  readonly short: string | undefined;
  readonly description: string;
  /** Undefined for flags. */
  readonly value: Value | undefined;
}

/**
 * What can stand for a value: files, directories, one of some words, or what a command prints, or
 * what no shell can know.
 */
export interface Value {
  readonly name: string;
  readonly kind: "file" | "directory" | "words" | "command" | "other";
  readonly words: readonly string[];
  /** The command that prints them, one a line; a shell's words. */
  readonly command?: string;
}

/** Names of values, as declared, that stand for a path. */
const PATHS: Readonly<Record<string, Value["kind"]>> = {
  FILE: "file",
  PATH: "file",
  SPEC: "file",
  DIR: "directory",
};

export function completable(program: CommandUnknownOpts): CompletableProgram {
  const commands = program.commands
    .filter((command) => !command.name().includes(" "))
    .map((command) => completableCommand(program, command));
  const options = [...optionsOf(program), ...commands.flatMap((command) => command.options)];
  const names = options.map(({ long, short }) => long ?? short);
  return {
    name: program.name(),
    commands,
    options: options.filter(({ long, short }, index) => names.indexOf(long ?? short) === index),
    arguments: argumentsOf(program),
  };
}

/**
 * A command, with those of two words that begin with it: their second words come first, and options
 * of all are offered.
 */
function completableCommand(
  program: CommandUnknownOpts,
  command: CommandUnknownOpts,
): CompletableCommand {
  const name = command.name();
  const longer = program.commands.filter((each) => each.name().startsWith(`${name} `));
  const options = [command, ...longer].flatMap(optionsOf);
  const spellings = options.map(({ long, short }) => long ?? short);
  const words = longer.map((each) => each.name().slice(name.length + 1));
  const second: Value[] = words.length > 0 ? [{ name: "ACTION", kind: "words", words }] : [];
  return {
    name,
    summary: command.description(),
    options: options.filter(({ long, short }, at) => spellings.indexOf(long ?? short) === at),
    arguments: [...second, ...argumentsOf(command)],
  };
}

function optionsOf(command: CommandUnknownOpts): CompletableOption[] {
  return command.options.map((option) => ({
    long: option.long ?? undefined,
    short: option.short ?? undefined,
    description: option.description,
    // A value that can be left out is not completed: the next word is no part of it.
    value: option.required ? value(valueName(option)!, option) : undefined,
  }));
}

function argumentsOf(command: CommandUnknownOpts): Value[] {
  return command.registeredArguments.map((each) => value(each.name(), each));
}

function value(name: string, declared: DeclaredOption | DeclaredArgument): Value {
  const { listed, value: { words } = {} } = factsOf(declared);
  if (listed !== undefined) return { name, kind: "command", words: [], command: listed };
  return { name, kind: words ? "words" : (PATHS[name] ?? "other"), words: words ?? [] };
}
