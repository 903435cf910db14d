/**
 * How help and usage look. The layout is commander's; names and order follow the command lines of
 * the reference.
 */
import { type CommandUnknownOpts, Help, type HelpConfiguration } from "@commander-js/extra-typings";
import { path } from "./argv.js";
import {
  type DeclaredArgument,
  factsOf,
  longest,
  type DeclaredOption as Option,
  valueName,
} from "./option.js";

/** How help looks, of the options that are often needed or of all. */
export function helpLayout({ all }: { readonly all: boolean }): HelpConfiguration {
  return {
    ...LAYOUT,
    visibleOptions: ({ options }) => {
      const isCommon = (each: Option) => factsOf(each).common === true;
      const visible = options.filter((each) => !each.hidden && (all || !factsOf(each).seldom));
      return [...visible.filter((each) => !isCommon(each)), ...visible.filter(isCommon)];
    },
  };
}

const LAYOUT: HelpConfiguration = {
  formatHelp: (command, helper) => {
    return Help.prototype.formatHelp.call(helper, command, helper) + valuesText(command, helper);
  },
  subcommandTerm: (each) => each.name(),
  optionTerm: (each) => each.flags.replace(/ [<[].*/, "") + valueTerm(each),
  optionDescription: (each) => {
    const value = defaultOf(each);
    return describe(each, value === "" ? "" : ` (default: ${value})`);
  },
  argumentDescription: (each) => describe(each, ""),
  commandUsage: (command) => wrapped(usage(command)),
};

/** `What to log: quiet, error, warning. (default: warning)` */
function describe(each: Option | DeclaredArgument, tail: string): string {
  const { words } = factsOf(each).value ?? {};
  const listed = words ? `: ${words.join(", ")}.` : "";
  return each.description.replace(listed && /\.$/, "") + listed + tail;
}

/** `=FILE`; `[=FILE]` if it can be left out; nothing for flags. */
function valueTerm(each: Option): string {
  const name = valueName(each);
  if (name === undefined) return "";
  return each.required ? `=${name}` : `[=${name}]`;
}

/** An option's default as one would write it; "" if it has none that can be. */
function defaultOf(each: Option): string {
  const { defaultValue: value } = each;
  if (typeof value === "number") return (factsOf(each).value?.write ?? String)(value);
  return typeof value === "string" ? value : "";
}

/**
 * A section that says how the values of what is shown are written; "" if all of them speak for
 * themselves.
 */
function valuesText(command: CommandUnknownOpts, helper: Help): string {
  const told = new Map<string, string>();
  const tell = (name: string | undefined, each: Option | DeclaredArgument) => {
    const { meaning } = factsOf(each).value ?? {};
    if (name !== undefined && meaning !== undefined) told.set(name, meaning);
  };
  for (const each of command.registeredArguments) tell(each.name(), each);
  for (const each of helper.visibleOptions(command)) tell(valueName(each), each);
  const width = Math.max(...[...told.keys()].map((name) => name.length));
  const lines = [...told]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, meaning]) => `  ${name.padEnd(width)}  ${meaning}\n`);
  return lines.length > 0 ? `\nValues:\n${lines.join("")}` : "";
}

/** `ocluster-admin show --connect=FILE [OPTION]… [POOL] [WORKER]` */
function usage(command: CommandUnknownOpts): string {
  const words = path(command);
  if (command.commands.length > 0) return [...words, "COMMAND …"].join(" ");
  for (const each of command.options) {
    if (each.mandatory) words.push(longest(each) + valueTerm(each));
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
