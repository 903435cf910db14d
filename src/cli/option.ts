/**
 * Options and positional arguments: one declaration of each, from which everything else comes.
 *
 *     option("--capacity <N>", "Builds that can run at a time.", integer({ min: 1 })).default(10)
 *
 * The flags and the value's name, the type of what an action is given, the default, the line of
 * help and what a shell can complete are read off this. How a value is written, and which words
 * there are, its parser says (values.ts). The declaration is commander's, for the types it infers.
 * What commander has no field for is in `Facts`.
 */
import { Argument, type CommandUnknownOpts, Option } from "@commander-js/extra-typings";
import { UsageError } from "../console/index.js";
import { existingFile, type Parser, ValueError, type ValueHelp } from "./values.js";

/** An option or argument of a command, as commander lists them. */
export type DeclaredOption = CommandUnknownOpts["options"][number];
export type DeclaredArgument = CommandUnknownOpts["registeredArguments"][number];

/** What is known of an option or argument beside what commander keeps. */
interface Facts {
  /** What its parser says of its values. */
  readonly value?: ValueHelp;
  /** May be given more than once. */
  readonly repeatable?: boolean;
  /** Left out of the help unless all options are wanted. */
  readonly seldom?: boolean;
  /** Every command has it: listed after a command's own. */
  readonly common?: boolean;
  /** What holds where it was not given. */
  readonly fallback?: Fallback;
  /** The words of a shell that print what the value can be. */
  readonly listed?: string;
}

/**
 * Where an option's text comes from that was not given: not the same on each machine, so that no
 * help can show it.
 */
export interface Fallback {
  /** Undefined if there is none. `isGiven`: whether an option of this long name was given. */
  text(isGiven: (long: string) => boolean): string | undefined;
  /** For people: `set OCLUSTER_CAP`. Stands behind "or". */
  readonly advice: string;
}

const facts = new WeakMap<object, Facts>();

export function factsOf(declared: DeclaredOption | DeclaredArgument): Facts {
  return facts.get(declared) ?? {};
}

function note<T extends object>(declared: T, more: Facts): T {
  facts.set(declared, { ...facts.get(declared), ...more });
  return declared;
}

/** An option with a value; with `--x [VALUE]` the value may be left out, and is `true` then. */
export function option<F extends string, T>(flags: F, description: string, parser: Parser<T>) {
  const result = new Option(flags, description).argParser(
    (text: string): T => named(optionName(flags), parser, text),
  );
  return note(result, { value: parser });
}

/** An option that may be given several times; its value is the list of them, [] without any. */
export function repeatedOption<F extends string, T>(
  flags: F,
  description: string,
  parser: Parser<T>,
) {
  const result = new Option(flags, `${description} Can be repeated.`)
    .default<T[]>([])
    // The first call is handed the default, which must not be changed, as all runs share it.
    .argParser<T[]>((text, previous) => [...previous, named(optionName(flags), parser, text)]);
  return note(result, { value: parser, repeatable: true });
}

/** A positional argument that is not just text: `<RATE>`, or `[RATE]` if it may be missing. */
export function argument<F extends string, T>(name: F, description: string, parser: Parser<T>) {
  const result = new Argument(name, description).argParser(
    (text: string): T => named(`argument ${name.slice(1, -1)}`, parser, text),
  );
  return note(result, { value: parser });
}

/**
 * The last positional argument, `<JOB...>`, that may be given several times; its value is the list
 * of them.
 */
export function repeatedArgument<F extends string, T>(
  name: F,
  description: string,
  parser: Parser<T>,
) {
  const what = `argument ${name.replace(/\W/g, "")}`;
  const result = new Argument(name, description).argParser<T[]>((text, previous) => [
    ...((previous as T[] | undefined) ?? []),
    named(what, parser, text),
  ]);
  return note(result, { value: parser });
}

/** `-c/--connect FILE`, required; `example` names the kind of file, such as "admin.cap". */
export function connectOption(example: string) {
  const description = `Capability file of the scheduler (${example}).`;
  return option("-c, --connect <FILE>", description, existingFile).makeOptionMandatory();
}

/**
 * Leaves an option out of the help unless all are wanted: what is needed to begin with fits a
 * screen then.
 */
export function seldom<T extends object>(declared: T): T {
  return note(declared, { seldom: true });
}

/** An option that has a text of its own where it is not given. */
export function withFallback<T extends object>(declared: T, fallback: Fallback): T {
  return note(declared, { fallback });
}

/** An option whose values a shell completes by what a command prints, one a line. */
export function completedBy<T extends object>(declared: T, listed: string): T {
  return note(declared, { listed });
}

/** Says of an option that every command has it. */
export function common<T extends object>(declared: T): T {
  return note(declared, { common: true });
}

/** `--connect`, or `-f` where there is no long name. */
export function longest(declared: DeclaredOption): string {
  return declared.long ?? declared.short ?? declared.flags;
}

/** `FILE`, the name of an option's value; undefined for flags. */
export function valueName({ flags }: Pick<DeclaredOption, "flags">): string | undefined {
  return /[<[](.*)[>\]]$/.exec(flags)?.[1];
}

/**
 * What an option comes to: its default where it was not given, which is `texts` being undefined;
 * `true` for flags, and `false` for those that begin with `--no-`; else what its parser makes of
 * the texts. Throws `UsageError`.
 */
export function optionValue(
  declared: DeclaredOption,
  texts: readonly string[] | undefined,
): unknown {
  // `--no-x` is the flag x, which is wanted unless it is given.
  if (declared.negate) return texts === undefined;
  if (texts === undefined) return declared.defaultValue;
  if (!declared.required && (!declared.optional || texts.at(-1) === "")) return true;
  return convert(declared, texts);
}

/** What an argument comes to, by all the texts that are there for it. Throws `UsageError`. */
export function argumentValue(declared: DeclaredArgument, texts: readonly string[]): unknown {
  if (texts.length === 0) return declared.defaultValue ?? (declared.variadic ? [] : undefined);
  if (declared.variadic && !declared.parseArg) return texts;
  return convert(declared, texts);
}

function convert(
  { parseArg, defaultValue }: Pick<DeclaredOption, "parseArg" | "defaultValue">,
  texts: readonly string[],
): unknown {
  return texts.reduce<unknown>(
    (previous, text) => (parseArg ? parseArg(text, previous) : text),
    defaultValue,
  );
}

function optionName(flags: string): string {
  return `option '${/--[\w-]+/.exec(flags)?.[0] ?? flags.split(/[ ,]/, 1)[0]}'`;
}

function named<T>(what: string, parser: Parser<T>, text: string): T {
  try {
    return parser(text);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new UsageError(`${what}: ${error.message}`, { cause: error });
  }
}
