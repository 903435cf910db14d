/**
 * How a program ends: exit statuses, the errors that ask for them, and what the user reads.
 *
 * Every failure that a user can meet is a typed error whose message says what to do. What remains
 * is a bug, and shows its stack. The statuses are those of the reference's command line library,
 * which scripts rely upon.
 */
import { AssertionError } from "node:assert";
import { createRequire } from "node:module";
import { dirname } from "node:path";

export const EXIT = {
  ok: 0,
  /** The scheduler or a worker said no, or a job failed. */
  failed: 1,
  /** Any other failure on this side, such as a file that cannot be read. */
  error: 123,
  /** The command line is wrong. */
  usage: 124,
  /** A bug in this program. */
  bug: 125,
} as const;

/**
 * The command line makes no sense. Shown with the command's usage and where to find help; status
 * 124.
 */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * The command was understood and did not succeed; status 1, unless another one is asked for. An
 * empty message means that everything was said already.
 */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
  readonly status: number;

  constructor(message = "", options?: ErrorOptions & { readonly status?: number }) {
    super(message, options);
    this.status = options?.status ?? EXIT.failed;
  }
}

/** An error as a user meets it: text for standard error ("" for none) and exit status. */
export interface Outcome {
  readonly text: string;
  readonly status: number;
}

/**
 * The text of an error that means the same as `CommandFailed`; undefined for any other. So programs
 * name errors of rooms that this one knows nothing of.
 */
export type FailureText = (error: unknown) => string | undefined;

/**
 * Sorts an error that ended a program. `UsageError` is not handled here: its text needs the command
 * line's context.
 */
export function outcomeOf(error: unknown, failureText: FailureText = () => undefined): Outcome {
  if (error instanceof CommandFailed) return { text: error.message, status: error.status };
  const failure = failureText(error);
  if (failure !== undefined) return { text: failure, status: EXIT.failed };
  const withoutSqlite = withoutSqliteText(error);
  if (withoutSqlite !== undefined) return { text: withoutSqlite, status: EXIT.error };
  if (error instanceof Error && !isBug(error)) return { text: error.message, status: EXIT.error };
  const details = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { text: `internal error, uncaught exception:\n${details}`, status: EXIT.bug };
}

/** What to do about an error that says that there is no SQLite; undefined for any other. */
function withoutSqliteText(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = "code" in error ? error.code : undefined;
  const tools = "which takes Python and a C++ compiler (on Debian: build-essential python3)";
  // After an installation in which it could not be compiled: npm leaves it out then.
  if (code === "MODULE_NOT_FOUND" && error.message.includes("'better-sqlite3'")) {
    return (
      `The package better-sqlite3 is not there: for Node ${process.version} it could not be had ready-made when ocluster was ` +
      `installed, and not be compiled, ${tools}. Install these, and then ocluster again; or use Node 22.14 or later, ` +
      "for which it comes ready-made on usual machines."
    );
  }
  // After an installation without the packages' scripts, or with another version of Node since.
  if (
    code === "ERR_DLOPEN_FAILED" ||
    error.message.startsWith("Could not locate the bindings file")
  ) {
    const root = dirname(createRequire(import.meta.url).resolve("ocluster/package.json"));
    return (
      `The compiled part of the package better-sqlite3 is not there, or not for Node ${process.version}: it is made when ` +
      `ocluster is installed. Make it anew: cd ${root} && npm rebuild better-sqlite3\n` +
      `(Where it cannot be had ready-made it is compiled, ${tools}.)`
    );
  }
  return undefined;
}

const BUG_TYPES: readonly unknown[] = [
  Error,
  TypeError,
  RangeError,
  ReferenceError,
  SyntaxError,
  EvalError,
  URIError,
  AssertionError,
];

/**
 * Untyped errors are bugs; except for the system's (`ENOENT` and the like), which Node throws as
 * plain `Error`s.
 */
function isBug(error: Error): boolean {
  if (!BUG_TYPES.includes(error.constructor)) return false;
  return !("syscall" in error && "code" in error);
}
