/** How help and usage look. The layout is commander's; names and order follow the command lines of the reference. */
import {
  type CommandUnknownOpts,
  Help,
  type HelpConfiguration,
  type Option,
} from "@commander-js/extra-typings";
import { path } from "./argv.js";

/** What every command has, by attribute name: listed after its own options. */
const COMMON = ["help", "version", "verbose", "quiet", "verbosity", "color", "logFormat"];

const seldomNeeded = new WeakSet<object>();

/** Leaves an option out of the help unless all are wanted: what is needed to begin with fits a screen then. */
export function seldom<T extends object>(option: T): T {
  seldomNeeded.add(option);
  return option;
}

const explanations = new WeakMap<object, string>();

/** Has help say how the value of an option is written, where that is the program's own matter. */
export function explained<T extends object>(option: T, meaning: string): T {
  explanations.set(option, meaning);
  return option;
}

/** How help looks, of the options that are often needed or of all. */
export function helpLayout({ all }: { readonly all: boolean }): HelpConfiguration {
  return {
    ...LAYOUT,
    visibleOptions: ({ options }) => {
      const isCommon = (each: { attributeName(): string }) => COMMON.includes(each.attributeName());
      const visible = options.filter((each) => !each.hidden && (all || !seldomNeeded.has(each)));
      return [...visible.filter((each) => !isCommon(each)), ...visible.filter(isCommon)];
    },
  };
}

const LAYOUT: HelpConfiguration = {
  formatHelp: (command, helper) => {
    return Help.prototype.formatHelp.call(helper, command, helper) + valuesText(command, helper);
  },
  subcommandTerm: (each) => each.name(),
  optionTerm: ({ flags }) => flags.replace(VALUE, "=$1"),
  optionDescription: (each) => {
    const value = defaultOf(each);
    return describe(each, value === "" ? "" : ` (default: ${value})`);
  },
  argumentDescription: (each) => describe(each, ""),
  commandUsage: (command) => wrapped(usage(command)),
};

/** `What to log: quiet, error, warning. (default: warning)` */
function describe(each: { description: string; argChoices?: string[] }, tail: string): string {
  const words = each.argChoices ? `: ${each.argChoices.join(", ")}.` : "";
  return each.description.replace(words && /\.$/, "") + words + tail;
}

/** The ` <FILE>` of an option's flags. */
const VALUE = / <(.*)>$/;

/** An option's default as one would write it; "" if it has none that can be. */
function defaultOf(each: Option): string {
  const { defaultValue: value } = each;
  if (typeof value === "number") return (KINDS[valueName(each) ?? ""]?.write ?? String)(value);
  return typeof value === "string" ? value : "";
}

/** `FILE`; undefined for flags. */
function valueName({ flags }: { readonly flags: string }): string | undefined {
  return VALUE.exec(flags)?.[1];
}

/** A kind of value whose name does not say how it is written. */
interface Kind {
  readonly meaning: string;
  /** Writes a default, if that is not how JavaScript does. */
  write?(value: number): string;
}

/** By the names that options and arguments have for their values; the parsers are in values.ts. */
const KINDS: Readonly<Record<string, Kind>> = {
  ADDR: { meaning: "tcp:HOST:PORT or unix:PATH" },
  DATE: { meaning: "7d or 2h ago, today, yesterday, 2026-11-30, 2026-11-30T18:00" },
  "FREE%": { meaning: "0 to 100, of the space that users can have" },
  "ID:FILE": { meaning: "its name in the spec or Dockerfile, and the file that holds its value" },
  JOBS: { meaning: "numbers of jobs, separated by commas" },
  LIST: { meaning: "words, separated by commas" },
  NAMES: { meaning: "names, separated by commas" },
  PERCENT: { meaning: "0 to 100" },
  REPOS: { meaning: "repositories, separated by commas: org/image,localhost:5000/image" },
  SIZE: {
    meaning: "bytes, or with a unit: 512K, 64M, 1.5G (of 1024), 20GB (of 1000)",
    write: (bytes) => inUnits(bytes, 1024, ["", "K", "M", "G", "T", "P"]),
  },
  TIME: {
    meaning: "seconds, or with units: 250ms, 90s, 10m, 1h30m, 7d",
    write: (seconds) => inUnits(seconds, 60, ["s", "m", "h"]),
  },
};

/** `67108864` as `64M`: in the largest unit of which it is a whole number. */
function inUnits(value: number, step: number, [unit = "", ...larger]: readonly string[]): string {
  const isWhole = larger.length > 0 && value >= step && value % step === 0;
  return isWhole ? inUnits(value / step, step, larger) : `${value}${unit}`;
}

/** A section that says how the values of what is shown are written; "" if all of them speak for themselves. */
function valuesText(command: CommandUnknownOpts, helper: Help): string {
  const told = new Map<string, string>();
  const tell = (name = "", meaning = KINDS[name]?.meaning) => meaning && told.set(name, meaning);
  for (const each of command.registeredArguments) tell(each.name());
  for (const each of helper.visibleOptions(command)) tell(valueName(each), explanations.get(each));
  const width = Math.max(...[...told.keys()].map((name) => name.length));
  const sorted = [...told].sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = sorted.map(([name, meaning]) => `  ${name.padEnd(width)}  ${meaning}\n`);
  return lines.length > 0 ? `\nValues:\n${lines.join("")}` : "";
}

/** `ocluster-admin show --connect=FILE [OPTION]… [POOL] [WORKER]` */
function usage(command: CommandUnknownOpts): string {
  const words = path(command);
  if (command.commands.length > 0) return [...words, "COMMAND …"].join(" ");
  for (const each of command.options) {
    if (each.mandatory) words.push(each.flags.replace(/^-\w, /, "").replace(VALUE, "=$1"));
  }
  words.push("[OPTION]…");
  for (const argument of command.registeredArguments) {
    const name = argument.required ? argument.name() : `[${argument.name()}]`;
    words.push(argument.variadic ? `${name}…` : name);
  }
  return words.join(" ");
}

/** Of a long usage, what does not fit beside `Usage: ` goes on below. */
function wrapped(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && USAGE_INDENT + line.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join(`\n${" ".repeat(USAGE_INDENT + 2)}`);
}

/** Of the widest terminal that everybody has. */
const WIDTH = 80;
const USAGE_INDENT = "Usage: ".length;

/** An error in the command line, with the usage and where to find help. */
export function usageText(command: CommandUnknownOpts, message: string): string {
  const [main, ...rest] = path(command);
  const full = [main, ...rest].join(" ");
  const help = rest.length > 0 ? `'${full} --help' or '${main} --help'` : `'${main} --help'`;
  return `${main}: ${message}\nUsage: ${usage(command)}\nTry ${help} for more information.`;
}
