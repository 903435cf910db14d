/** How help and usage look. The layout is commander's; names and order follow the command lines of the reference. */
import type { CommandUnknownOpts, HelpConfiguration } from "@commander-js/extra-typings";
import { path } from "./argv.js";

/** What every command has, by attribute name: listed after its own options. */
const COMMON = ["help", "version", "verbose", "quiet", "verbosity", "color", "logFormat"];

export const HELP: HelpConfiguration = {
  visibleOptions: ({ options }) => {
    const isCommon = (each: { attributeName(): string }) => COMMON.includes(each.attributeName());
    const own = options.filter((each) => !each.hidden && !isCommon(each));
    return [...own, ...options.filter(isCommon)];
  },
  subcommandTerm: (each) => each.name(),
  optionTerm: ({ flags }) => flags.replace(VALUE, "=$1"),
  optionDescription: (each) => {
    const { defaultValue } = each;
    const shown = ["string", "number"].includes(typeof defaultValue) && defaultValue !== "";
    return describe(each, shown ? ` (default: ${defaultValue})` : "");
  },
  argumentDescription: (each) => describe(each, ""),
  commandUsage: usage,
};

/** `What to log: quiet, error, warning. (default: warning)` */
function describe(each: { description: string; argChoices?: string[] }, tail: string): string {
  const words = each.argChoices ? `: ${each.argChoices.join(", ")}.` : "";
  return each.description.replace(words && /\.$/, "") + words + tail;
}

/** The ` <FILE>` of an option's flags. */
const VALUE = / <(.*)>$/;

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

/** An error in the command line, with the usage and where to find help. */
export function usageText(command: CommandUnknownOpts, message: string): string {
  const [main, ...rest] = path(command);
  const full = [main, ...rest].join(" ");
  const help = rest.length > 0 ? `'${full} --help' or '${main} --help'` : `'${main} --help'`;
  return `${main}: ${message}\nUsage: ${usage(command)}\nTry ${help} for more information.`;
}
