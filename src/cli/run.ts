/**
 * From `process.argv` to an exit status: a command line is read, its action called, and what that
 * throws becomes text.
 */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import {
  configureLog,
  dieOf,
  EXIT,
  type FailureText,
  Interrupted,
  outcomeOf,
  type Sink,
  stderrTerminal,
  UsageError,
  version,
} from "../console/index.js";
import { visibleLines } from "../text/index.js";
import {
  argumentValues,
  BadCommandLine,
  checkComplete,
  optionValues,
  type Parsed,
  parse,
} from "./argv.js";
import { actionOf, type CommonValues } from "./command.js";
import { completionScript, SHELLS } from "./completion/index.js";
import { helpLayout, usageText } from "./help.js";
import { oneOf, ValueError } from "./values.js";

/** Where a command line's help, version and errors go. */
export interface Output {
  readonly stdout: Pick<Sink, "write">;
  readonly stderr: Pick<Sink, "write">;
}

/**
 * Runs a command line to its end, and returns the exit status. `argv` is without the program's
 * name; `failureText` knows errors that the commands may end with. Rejects with `Interrupted` only.
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
    const help = textsOf(parsed, "help");
    if (help) {
      command
        .configureHelp(helpLayout({ all: help.some((format) => format !== "") }))
        .configureOutput({ writeOut: (text) => output.stdout.write(text) })
        .outputHelp();
    } else if (textsOf(parsed, "version")) {
      output.stdout.write(`${version()}\n`);
    } else {
      checkComplete(parsed);
      await perform(parsed);
    }
    return EXIT.ok;
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    if (error instanceof BadCommandLine) command = error.command;
    const { text, status } =
      error instanceof UsageError || error instanceof ValueError
        ? { text: usageText(command, error.message), status: EXIT.usage }
        : outcomeOf(error, failureText);
    if (text !== "") output.stderr.write(`${visibleLines(text)}\n`);
    return status;
  }
}

async function perform(parsed: Parsed): Promise<void> {
  const { verbose, quiet, ...given } = optionValues(parsed);
  // The types are those that were inferred from the declaration, which is also what the values were
  // made by.
  const common = given as CommonValues;
  const verbosity = impliedVerbosity(parsed) ?? common.verbosity;
  const words = argumentValues(parsed);
  await configureLog({ verbosity, color: common.color, format: common.logFormat });
  await actionOf(parsed.command)(...words, { ...given, verbosity });
}

/** What `-v` and `-q` ask for; undefined without them, or where `--verbosity` has the last word. */
function impliedVerbosity(parsed: Parsed): CommonValues["verbosity"] | undefined {
  if (textsOf(parsed, "verbosity")) return undefined;
  if (textsOf(parsed, "quiet")) return "quiet";
  const verbose = textsOf(parsed, "verbose");
  return verbose && (verbose.length > 1 ? "debug" : "info");
}

/** The texts of the option with this attribute name; undefined if it was not given. */
function textsOf({ given }: Parsed, name: string): readonly string[] | undefined {
  return [...given].find(([each]) => each.attributeName() === name)?.[1];
}

/**
 * Runs the command line of this process and ends the process with its status. The last statement of
 * every program.
 */
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
    const status = await run(program, process.argv.slice(2), process, failureText);
    // What could not be written is told of in a task of its own (`outputFailed`).
    await new Promise((resolve) => setImmediate(resolve));
    process.exit(status);
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

/**
 * A scheduler does not end because the disk with its log is full: what cannot be written is lost.
 */
function logFailed(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(BROKEN_PIPE);
}

/** What a shell reports for a process that died of SIGPIPE, which Node ignores. */
const BROKEN_PIPE = 128 + 13;
