/**
 * How commands and programs are declared, and which options every command has.
 *
 *     const show = command("show", "Show information about a pool.", ["ocluster-admin -c admin.cap show linux-x86_64"])
 *       .addOption(connectOption("admin.cap"))
 *       .option("--terse", "Only the names of the workers.")
 *       .argument("[POOL]", "Pool to use.")
 *       .action(async (pool, { connect, terse }) => { … });
 *
 *     await runMain(program("ocluster-admin", "Administers a scheduler.", [show], ["ocluster-admin -c admin.cap show"]));
 *
 * Commands are commander's as far as they are declarations: it infers the types and lays out the
 * help. Command lines are read by argv.ts, and run.ts calls the action. An action that returns has
 * succeeded; what it throws decides on text and status (console/errors.ts). Heavy modules are best
 * imported inside actions, so that `--help` is quick.
 */
import { Command, type CommandUnknownOpts, Option } from "@commander-js/extra-typings";
import { COLORS, LOG_FORMATS, VERBOSITIES } from "../console/index.js";
import { completionScript, SHELLS } from "./completion/index.js";
import { helpLayout } from "./help.js";
import { argument, common, option, seldom } from "./option.js";
import { oneOf, type Parser } from "./values.js";

/**
 * What a command does: it is called with the values of its arguments, then those of its options,
 * then the command.
 */
type Action = (...values: unknown[]) => void | Promise<void>;

/**
 * A command whose action is kept for us. Commander's own would be called by commander's parser
 * only.
 */
class Declaration extends Command {
  perform: Action = () => {};

  override action(perform: (this: this, ...values: never) => void | Promise<void>): this {
    this.perform = perform as Action;
    return this;
  }
}

/** The action of a command that `command` has made. */
export function actionOf(declared: CommandUnknownOpts): Action {
  if (!(declared instanceof Declaration)) throw new Error(`${declared.name()} has no action`);
  return (...values) => declared.perform(...values, declared);
}

/** The values of the options that every command has, which its action finds among the others. */
export type CommonValues = ReturnType<ReturnType<typeof command>["opts"]>;

/**
 * A command of a program, or a program that has no commands. `examples` are whole command lines,
 * shown in its help.
 */
export function command(name: string, summary: string, examples: readonly string[]) {
  const result = base(name, summary, examples, "Show this help; --help=all: with all options.")
    .addOption(
      everywhere("--verbosity <LEVEL>", "What to log", oneOf(VERBOSITIES)).default("warning"),
    )
    .addOption(everywhere("--color <WHEN>", "Colours", oneOf(COLORS)).default("auto"))
    .addOption(everywhere("--log-format <FORMAT>", "Log as", oneOf(LOG_FORMATS)).default("text"));
  // Not part of the options' type: no action sees them, `run` makes them a verbosity.
  result.addOption(common(new Option("-v, --verbose", "Log more; given twice, everything.")));
  result.addOption(common(new Option("-q, --quiet", "Log nothing, show no progress.")));
  return result;
}

function everywhere<F extends string, const T extends string>(
  flags: F,
  description: string,
  parser: Parser<T>,
) {
  return common(seldom(option(flags, description, parser)));
}

/** A program with commands. */
export function program(
  name: string,
  summary: string,
  commands: readonly CommandUnknownOpts[],
  examples: readonly string[],
): CommandUnknownOpts {
  const result = base(name, summary, examples, "Show this help.").helpCommand(false);
  for (const each of commands) result.addCommand(each);
  result.addCommand(
    command("completion", "Print a completion script for a shell.", [
      `eval "$(${name} completion bash)"`,
    ])
      .addArgument(argument("<SHELL>", "The shell", oneOf(SHELLS)))
      .action((shell) => {
        process.stdout.write(completionScript(result, shell));
      }),
  );
  return result;
}

function base(name: string, summary: string, examples: readonly string[], help: string): Command {
  const result = new Declaration(name)
    .description(summary)
    .helpOption(false)
    .configureHelp(helpLayout({ all: false }))
    .addHelpText("after", `\nExamples:\n${examples.map((line) => `  ${line}`).join("\n")}`);
  result.addOption(common(new Option("--help", help)));
  result.addOption(common(new Option("--version", "Show the version.")));
  return result;
}
