/**
 * What all command lines have in common: how commands are declared, which options every one has, help, and the way from
 * `process.argv` to an exit status.
 *
 *     const show = command("show", "Show information about a pool.", ["ocluster-admin -c admin.cap show linux-x86_64"])
 *       .addOption(connectOption("admin.cap"))
 *       .option("--terse", "Only the names of the workers.")
 *       .argument("[POOL]", "Pool to use.")
 *       .action(async (pool, { connect, terse }) => { … });
 *
 *     await runMain(program("ocluster-admin", "Administers a scheduler.", [show], ["ocluster-admin -c admin.cap show"]));
 *
 * Commands are commander's, with types inferred from the declarations. An action that returns has succeeded; what it
 * throws decides on text and status (errors.ts). Heavy modules are best imported inside actions, so that `--help` is quick.
 */
import {
  Argument,
  Command,
  CommanderError,
  type CommandUnknownOpts,
  Option,
} from "@commander-js/extra-typings";
import {
  COLORS,
  configureLog,
  dieOf,
  EXIT,
  type FailureText,
  Interrupted,
  LOG_FORMATS,
  outcomeOf,
  type Sink,
  stderrTerminal,
  UsageError,
  VERBOSITIES,
  version,
} from "../console/index.js";
import { visibleLines } from "../text/index.js";
import {
  BadCommandLine,
  canonical,
  checkComplete,
  markRepeatable,
  type Parsed,
  parse,
} from "./argv.js";
import { completionScript, SHELLS } from "./completion/index.js";
import { helpLayout, seldom, usageText } from "./help.js";
import { existingFile, oneOf, type Parser, ValueError } from "./values.js";

/** An option with a value, such as `option("--capacity <N>", "…", integer({ min: 1 })).default(10)`. */
export function option<F extends string, T>(flags: F, description: string, parser: Parser<T>) {
  const result = new Option(flags, description).argParser(
    (text: string): T => named(optionName(flags), parser, text),
  );
  if (parser.words) result.argChoices = [...parser.words];
  return result;
}

/** An option that may be given several times; its value is the list of them, [] without any. */
export function repeatedOption<F extends string, T>(
  flags: F,
  description: string,
  parser: Parser<T>,
) {
  const result = new Option(flags, `${description} Can be repeated.`)
    .default<T[]>([])
    // Commander hands the default to the first call; it must not be changed, as it is shared.
    .argParser<T[]>((text, previous) => [...previous, named(optionName(flags), parser, text)]);
  markRepeatable(result);
  return result;
}

/** A positional argument that is not just text: `<RATE>`, or `[RATE]` if it may be missing. */
export function argument<F extends string, T>(name: F, description: string, parser: Parser<T>) {
  const result = new Argument(name, description).argParser(
    (text: string): T => named(`argument ${name.slice(1, -1)}`, parser, text),
  );
  if (parser.words) result.argChoices = [...parser.words];
  return result;
}

/** The last positional argument, `<JOB...>`, that may be given several times; its value is the list of them. */
export function repeatedArgument<F extends string, T>(
  name: F,
  description: string,
  parser: Parser<T>,
) {
  const what = `argument ${name.replace(/\W/g, "")}`;
  return new Argument(name, description).argParser<T[]>((text, previous) => [
    ...((previous as T[] | undefined) ?? []),
    named(what, parser, text),
  ]);
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

/** `-c/--connect FILE`, required; `example` names the kind of file, such as "admin.cap". */
export function connectOption(example: string) {
  const description = `Capability file of the scheduler (${example}).`;
  return option("-c, --connect <FILE>", description, existingFile).makeOptionMandatory();
}

/** A command of a program, or a program that has no commands. `examples` are whole command lines, shown in its help. */
export function command(name: string, summary: string, examples: readonly string[]) {
  const result = base(name, summary, examples, "Show this help; --help=all: with all options.")
    .addOption(
      seldom(option("--verbosity <LEVEL>", "What to log", oneOf(VERBOSITIES)).default("warning")),
    )
    .addOption(seldom(option("--color <WHEN>", "Colours", oneOf(COLORS)).default("auto")))
    .addOption(
      seldom(option("--log-format <FORMAT>", "Log as", oneOf(LOG_FORMATS)).default("text")),
    )
    .hook("preAction", (self) => {
      const { verbosity, color, logFormat } = self.opts();
      return configureLog({ verbosity, color, format: logFormat });
    });
  // Not part of the options' type: no action sees them, `run` makes them a verbosity.
  result.option("-v, --verbose", "Log more; given twice, everything.");
  result.option("-q, --quiet", "Log nothing, show no progress.");
  return result;
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

function base(name: string, summary: string, examples: readonly string[], help: string) {
  const result = new Command(name)
    .description(summary)
    .helpOption(false)
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .configureHelp(helpLayout({ all: false }))
    .addHelpText("after", `\nExamples:\n${examples.map((line) => `  ${line}`).join("\n")}`);
  result.option("--help", help);
  result.option("--version", "Show the version.");
  return result;
}

/** Where a command line's help, version and errors go. */
export interface Output {
  readonly stdout: Pick<Sink, "write">;
  readonly stderr: Pick<Sink, "write">;
}

/**
 * Runs a command line to its end, and returns the exit status. `argv` is without the program's name; `failureText` knows
 * errors that the commands may end with. Rejects with `Interrupted` only.
 */
export async function run(
  program: CommandUnknownOpts,
  argv: readonly string[],
  output: Output = process,
  failureText?: FailureText,
): Promise<number> {
  let command = program;
  try {
    // A program without commands has this one all the same.
    if (program.commands.length === 0 && argv[0] === "completion") {
      output.stdout.write(completionScript(program, oneOf(SHELLS)(argv[1] ?? "")));
      return EXIT.ok;
    }
    const parsed = parse(program, argv);
    command = parsed.command;
    const help = find(parsed, "help");
    if (help) {
      command
        .configureHelp(helpLayout({ all: help[1].some((format) => format !== "") }))
        .configureOutput({ writeOut: (text) => output.stdout.write(text) })
        .outputHelp();
    } else if (find(parsed, "version")) {
      output.stdout.write(`${version()}\n`);
    } else {
      checkComplete(parsed);
      await program.parseAsync(canonical(withVerbosity(parsed)), { from: "user" });
    }
    return EXIT.ok;
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    if (error instanceof BadCommandLine) command = error.command;
    const { text, status } =
      error instanceof UsageError || error instanceof ValueError || error instanceof CommanderError
        ? { text: usageText(command, error.message), status: EXIT.usage }
        : outcomeOf(error, failureText);
    if (text !== "") output.stderr.write(`${visibleLines(text)}\n`);
    return status;
  }
}

/** The option with this attribute name, if it was given, and its values. */
function find({ given }: Parsed, name: string) {
  return [...given].find(([each]) => each.attributeName() === name);
}

/** The same command line with `-v` and `-q` as a `--verbosity`, which itself has the last word. */
function withVerbosity(parsed: Parsed): Parsed {
  const given = new Map(parsed.given);
  const [verbose, repetitions] = find(parsed, "verbose") ?? [];
  const [quiet] = find(parsed, "quiet") ?? [];
  if (verbose) given.delete(verbose);
  if (quiet) given.delete(quiet);
  const verbosity = parsed.command.options.find((each) => each.attributeName() === "verbosity");
  if (verbosity && !given.has(verbosity)) {
    if (quiet) given.set(verbosity, ["quiet"]);
    else if (repetitions) given.set(verbosity, [repetitions.length > 1 ? "debug" : "info"]);
  }
  return { ...parsed, given };
}

/** Runs the command line of this process and ends the process with its status. The last statement of every program. */
export async function runMain(
  program: CommandUnknownOpts,
  failureText?: FailureText,
): Promise<void> {
  process.on("uncaughtException", (error) => {
    const { text } = outcomeOf(error, failureText);
    stderrTerminal.line(`${program.name()}: ${visibleLines(text)}`);
    process.exit(EXIT.bug);
  });
  process.stdout.on("error", outputFailed);
  process.stderr.on("error", logFailed);
  try {
    process.exit(await run(program, process.argv.slice(2), process, failureText));
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    dieOf(error.signalName);
  }
}

function outputFailed(error: NodeJS.ErrnoException): never {
  // The reader went away (`… | head`): nobody is left to tell.
  if (error.code === "EPIPE") process.exit(BROKEN_PIPE);
  stderrTerminal.line(`Standard output cannot be written: ${error.message}`);
  process.exit(EXIT.error);
}

/** A scheduler does not end because the disk with its log is full: what cannot be written is lost. */
function logFailed(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(BROKEN_PIPE);
}

/** What a shell reports for a process that died of SIGPIPE, which Node ignores. */
const BROKEN_PIPE = 128 + 13;
