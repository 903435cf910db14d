/**
 * The grammar of command lines, which users of the reference's are used to: one pass over the
 * words, from which the command is called.
 *
 * Names of commands and long options may be cut short as long as they stay unique; `--opt VALUE`
 * and `--opt=VALUE` are the same, unless the value can be left out; a command's name may be of two
 * words, `batch watch`; options may stand before the command; the capability file may be the first
 * positional argument; errors name the thing and the nearest alternative.
 */
import { existsSync } from "node:fs";
import type { CommandUnknownOpts as Command } from "@commander-js/extra-typings";
import { UsageError } from "../console/index.js";
import {
  argumentValue,
  factsOf,
  longest,
  type DeclaredOption as Option,
  optionValue,
} from "./option.js";
import { alternatives, hint, quoted } from "./spelling.js";

/** A command line that was understood, its values not yet looked at. */
export interface Parsed {
  /** The command to run; the program itself where it has no commands, or where none was named. */
  readonly command: Command;
  /**
   * The options given, with their texts in order ("" for flags, and for a value that was left out).
   */
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

/**
 * Commands that are known by their whole names only: the abbreviations go on to mean what they mean
 * to the reference.
 */
export const unabbreviated = new WeakSet<Command>();

/** Reads the arguments after the program's name. Throws `BadCommandLine`. */
export function parse(program: Command, argv: readonly string[]): Parsed {
  const words = [...argv];
  const given = new Map<Option, string[]>();
  const positional: string[] = [];
  /**
   * Undefined until it is named. Options before that wait, as only the command knows what they
   * mean.
   */
  let command = program.commands.length === 0 ? program : undefined;
  const waiting: Mention[] = [];
  const accepted: Mention[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "--") {
      // Nothing after it is a command's name.
      if (command) positional.push(...words);
      break;
    }
    if (isOption(word)) {
      const known = command ? command.options : optionsOfAny(program);
      for (const mention of mentions(word, words, known)) {
        if (command) {
          accept(command, mention, given, positional);
          accepted.push(mention);
        } else if (mention.first) waiting.push(mention);
        else throw unknownOption(program, mention.name);
      }
    } else if (command) {
      const longer = positional.length === 0 && commandOfTwoWords(program, command, word);
      if (longer) {
        command = longer;
        given.clear();
        for (const mention of accepted) accept(command, mention, given, positional);
      } else {
        positional.push(word);
      }
    } else if (word === "help") {
      const [first, second] = words;
      if (first === undefined) return helpFor(program);
      const named = commandNamed(program, first);
      return helpFor((second && commandOfTwoWords(program, named, second)) || named);
    } else {
      command = commandNamed(program, word);
      for (const mention of waiting) accept(command, mention, given, positional);
      accepted.push(...waiting);
    }
  }
  if (!command) {
    command = program;
    const own = waiting.filter(({ first }) => first && program.options.includes(first));
    for (const mention of own) accept(program, mention, given, positional);
  }
  takeCapFile(command, given, positional);
  return { command, given, positional };
}

/** Throws `BadCommandLine` if an option or argument is missing, or one too many. */
export function checkComplete(parsed: Parsed): void {
  const { command, given, positional } = parsed;
  if (command.commands.length > 0) {
    throw new BadCommandLine(
      `required COMMAND name is missing, must be one of ${alternatives(names(command))}.`,
      command,
    );
  }
  const missingOptions = command.options.filter(
    (option) =>
      option.mandatory && !given.has(option) && fallbackText(parsed, option) === undefined,
  );
  const options = missingOptions.map(longest);
  if (options.length === 1) {
    const advice = factsOf(missingOptions[0]!).fallback?.advice;
    const otherwise = advice === undefined ? "" : ` (or ${advice})`;
    throw new BadCommandLine(`required option ${options[0]} is missing${otherwise}`, command);
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

/**
 * The values of a command's options by their names in camel case. Throws `UsageError` for the first
 * that is none.
 */
export function optionValues(parsed: Parsed): Record<string, unknown> {
  const { command, given } = parsed;
  const fallbacks = command.options.flatMap((option) => {
    const text = given.has(option) ? undefined : fallbackText(parsed, option);
    return text === undefined ? [] : [[option, [text]] as const];
  });
  const absent = command.options.filter(
    (option) => !given.has(option) && (option.defaultValue !== undefined || option.negate),
  );
  // Those that were given in their order, so that the first error is the first on the command line.
  return Object.fromEntries(
    [...absent.map((option) => [option, undefined] as const), ...fallbacks, ...given].map(
      ([option, texts]) => [option.attributeName(), optionValue(option, texts)],
    ),
  );
}

/** The text of an option that was not given, if it has one all the same. */
function fallbackText({ given }: Parsed, option: Option): string | undefined {
  const isGiven = (long: string) => [...given.keys()].some((each) => each.long === long);
  return factsOf(option).fallback?.text(isGiven);
}

/** The values of a command's arguments. Throws `UsageError` for the first that is none. */
export function argumentValues({ command, positional }: Parsed): unknown[] {
  return command.registeredArguments.map((argument, at) =>
    argumentValue(argument, positional.slice(at, argument.variadic ? undefined : at + 1)),
  );
}

/** The names that lead to a command, the program's own first. */
export function path(command: Command): string[] {
  return [...(command.parent ? path(command.parent) : []), command.name()];
}

function helpFor(command: Command): Parsed {
  const help = command.options.filter((option) => option.long === "--help");
  return { command, given: new Map(help.map((option) => [option, [""]])), positional: [] };
}

/** `batch watch`, where `batch` is a command by itself, too. Its second word is not cut short. */
function commandOfTwoWords(program: Command, first: Command, word: string): Command | undefined {
  return program.commands.find((command) => command.name() === `${first.name()} ${word}`);
}

function commandNamed(program: Command, word: string): Command {
  const ofOneWord = program.commands.filter((command) => !command.name().includes(" "));
  const named = ofOneWord.filter((command) =>
    [command.name(), ...command.aliases()].some((name) => name === word),
  );
  const begun = () =>
    ofOneWord.filter(
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
  return program.commands
    .map((command) => command.name())
    .filter((name) => !name.includes(" "))
    .sort();
}

/** All options that may stand before the command's name. */
function optionsOfAny(program: Command): Option[] {
  return [program, ...program.commands].flatMap((command) => command.options);
}

function isOption(word: string): boolean {
  return word.length > 1 && word.startsWith("-");
}

/** An option on the command line, as it was written. */
interface Mention {
  /** `--connect`, `--con`, `-c`. */
  readonly name: string;
  /**
   * The first of the known options that the name fits; it says whether the next word belongs to it.
   */
  readonly first: Option | undefined;
  readonly text: string | undefined;
  /** The text was the next word. */
  readonly apart: boolean;
}

/**
 * What one word mentions, and the next one where it is the value; several flags may share one word
 * (`-vv`).
 */
function mentions(word: string, following: string[], known: readonly Option[]): Mention[] {
  if (word.startsWith("--")) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const joined = equals < 0 ? undefined : word.slice(equals + 1);
    return [withText({ name, first: longNamed(name, known)[0] }, joined, following)];
  }
  const name = word.slice(0, 2);
  const rest = word.slice(2);
  const first = known.find((option) => option.short === name);
  if (!first || first.required || rest === "") {
    return [withText({ name, first }, rest === "" ? undefined : rest, following)];
  }
  return [
    { name, first, text: undefined, apart: false },
    ...mentions(`-${rest}`, following, known),
  ];
}

function withText(
  mention: Pick<Mention, "name" | "first">,
  joined: string | undefined,
  following: string[],
): Mention {
  const next = following[0];
  if (joined !== undefined || !mention.first?.required || next === undefined || isOption(next)) {
    return { ...mention, text: joined, apart: false };
  }
  following.shift();
  return { ...mention, text: next, apart: true };
}

/** Options whose long name is `name`, or else begins with it. */
function longNamed(name: string, known: readonly Option[]): Option[] {
  const exact = known.filter((option) => option.long === name);
  return exact.length > 0 ? exact : known.filter((option) => option.long?.startsWith(name));
}

/** Adds an option to those given. */
function accept(
  command: Command,
  { name, text, apart }: Mention,
  given: Map<Option, string[]>,
  positional: string[],
): void {
  const option = name.startsWith("--")
    ? longOption(command, name)
    : command.options.find((candidate) => candidate.short === name);
  if (!option) throw unknownOption(command, name);
  const texts = given.get(option) ?? [];
  if (option.required) {
    if (text === undefined) {
      throw new BadCommandLine(`option '${longest(option)}' needs an argument`, command);
    }
    if (texts.length > 0 && !factsOf(option).repeatable) {
      throw new BadCommandLine(`option '${longest(option)}' cannot be repeated.`, command);
    }
    given.set(option, [...texts, text]);
    return;
  }
  // An option of another command would have taken the next word.
  if (apart) positional.push(text!);
  else if (text !== undefined && !takesText(option, text)) {
    throw new BadCommandLine(
      `option '${longest(option)}' is a flag, it cannot take the argument '${text}'`,
      command,
    );
  }
  given.set(option, [...texts, apart ? "" : (text ?? "")]);
}

/**
 * A value that may be left out; or, as in the reference, a format of the whole help:
 * `--help=plain`.
 */
function takesText(option: Option, text: string): boolean {
  return option.long === "--help" || (option.optional && text !== "");
}

function longOption(command: Command, name: string): Option | undefined {
  const found = longNamed(name, command.options);
  if (found.length > 1) {
    const candidates = alternatives(found.map(longest));
    throw new BadCommandLine(`option '${name}' ambiguous and could be ${candidates}`, command);
  }
  return found[0];
}

function unknownOption(command: Command, name: string): BadCommandLine {
  const known = command.options.flatMap((option) => option.long ?? []);
  return new BadCommandLine(`unknown option '${name}'${hint(name, known)}`, command);
}

/**
 * Older scripts give the capability file as the first positional argument. It is taken for one only
 * if it looks like one, so that who forgot `--connect` is told so.
 */
function takeCapFile(command: Command, given: Map<Option, string[]>, positional: string[]): void {
  const connect = command.options.find((option) => option.long === "--connect");
  const first = positional[0];
  if (!connect || given.has(connect) || first === undefined) return;
  // Where a file is meant, only its name can tell the two apart.
  const isFile = command.registeredArguments[0]?.name() === "FILE";
  if (first.endsWith(".cap") || (!isFile && first.includes("/") && existsSync(first))) {
    positional.shift();
    given.set(connect, [first]);
  }
}
