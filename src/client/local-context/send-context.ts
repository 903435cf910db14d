/**
 * `--context DIR`, and the same for programs: sends a local directory to the scheduler, as the
 * build context of jobs that are submitted in the minutes thereafter.
 *
 *     const source = await sendContext({ connect: "alice.cap", directory: "." });
 *     Submission.submit(submission, { pool, descr: { action, source, cacheHint: "", secrets: [] } });
 *
 * A door of its own: it is of use without the commands.
 */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { LocalContext, type Source } from "../../api/index.js";
import { unlessAborted } from "../../async/index.js";
import { CommandFailed, stderrTerminal } from "../../console/index.js";
import type { Capability } from "../../rpc/index.js";
import { HashMemory } from "../../system/index.js";
import { IgnoreFile, quoted } from "../../text/index.js";
import { steadily } from "../jobs/records-session.js";
import { type ScanRules, scan, TreeChanged } from "./scan.js";
import { Upload } from "./upload.js";

export interface SendContextOptions {
  /** The path of a client's capability file. */
  readonly connect: string;
  readonly directory: string;
  /** A file of patterns instead of the directory's `.dockerignore`. */
  readonly ignoreFile?: string | undefined;
  /** Send `.git`, too. Default: false. */
  readonly includeGit?: boolean | undefined;
  /** Of a Docker job. */
  readonly docker?: DockerContext | undefined;
  /** Say nothing. Default: false. */
  readonly quiet?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface DockerContext {
  /** The Dockerfile's path in the directory; undefined: it is elsewhere. */
  readonly dockerfile?: string | undefined;
  /** Whether BuildKit builds it, which knows ignore files for one Dockerfile. */
  readonly buildkit: boolean;
}

const IGNORE_FILE = ".dockerignore";

/** How often all is looked at again, as files have changed on their way. */
const TRIES = 3;

/** More than anybody writes by hand, in bytes; what it takes to match a path grows with it. */
const MAX_IGNORE_FILE = 64 * 1024;

/**
 * Resolves to the source of jobs when the scheduler has all of the directory. Rejects with
 * `CommandFailed`, in words for the user, and the signal's reason.
 */
export async function sendContext(options: SendContextOptions): Promise<Source> {
  const { connect, quiet = false, signal = NEVER } = options;
  const directory = realDirectory(options.directory);
  const rules = rulesOf(directory, options);
  for (let tries = 1; ; tries++) {
    const { entries, others } = await scan(
      directory,
      rules,
      new HashMemory("contexts", directory),
      signal,
    );
    const upload = new Upload(directory, entries, (line) => {
      if (!quiet) stderrTerminal.line(line);
    });
    if (others > 0 && !quiet) {
      stderrTerminal.line(`Left out: ${others} devices, sockets and pipes.`);
    }
    try {
      const send = (submission: Capability) => unlessAborted(upload.run(submission), signal);
      await steadily({ connect, quiet }, send, { signal });
      return LocalContext.sourceOf(upload.hash);
    } catch (error) {
      if (!(error instanceof TreeChanged) || tries === TRIES) throw error;
    }
  }
}

const NEVER = new AbortController().signal;

/** Throws a `CommandFailed`. */
function realDirectory(path: string): string {
  try {
    const real = realpathSync(path);
    if (statSync(real).isDirectory()) return real;
  } catch (error) {
    throw new CommandFailed(`Cannot read the build context: ${(error as Error).message}`, {
      cause: error,
    });
  }
  throw new CommandFailed(`The build context ${quoted(path)} is no directory.`);
}

/**
 * As `docker build` has it: the Dockerfile and its ignore file are sent in any case, as the builder
 * needs them. An ignore file from elsewhere stands in the place of those in the directory, which a
 * builder does not get to see then, as it would follow them.
 */
function rulesOf(
  directory: string,
  { docker, ignoreFile, includeGit = false }: SendContextOptions,
): ScanRules {
  const git = includeGit ? [] : [".git"];
  const { buildkit = false, dockerfile } = docker ?? {};
  const inside = [
    ...(buildkit ? [`${dockerfile ?? "Dockerfile"}${IGNORE_FILE}`] : []),
    IGNORE_FILE,
  ];
  const wanted = dockerfile === undefined ? [] : [dockerfile];
  if (ignoreFile !== undefined) {
    const ignored = readIgnoreFile(ignoreFile);
    return { ignored, needed: wanted, leftOut: docker ? [...git, ...inside] : git };
  }
  const found = inside.find((name) => statSync(join(directory, name), NO_ENTRY)?.isFile());
  const ignored = found === undefined ? new IgnoreFile("") : readIgnoreFile(join(directory, found));
  return { ignored, needed: docker ? [...wanted, ...inside] : [], leftOut: git };
}

const NO_ENTRY = { throwIfNoEntry: false } as const;

/** Throws a `CommandFailed`. */
function readIgnoreFile(path: string): IgnoreFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandFailed(`Cannot read ${quoted(path)}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (text.length > MAX_IGNORE_FILE) {
    throw new CommandFailed(`${quoted(path)} is longer than ${MAX_IGNORE_FILE} bytes.`);
  }
  return new IgnoreFile(text);
}
