/*
 * Other programs: the one way to start them. Arguments are lists, never shell text.
 */

import { type SpawnOptions, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { marked } from "./orphans.js";
import { signalAll } from "./processes.js";

/**
 * A program that could not be started, with the system's error as the cause, or that did not
 * succeed.
 */
export class ProgramError extends Error {
  override readonly name = "ProgramError";

  constructor(
    message: string,
    /** Undefined if it was ended by a signal, or never started. */
    readonly status: number | undefined,
    /** What it printed on standard error, if that was gathered. */
    readonly stderr: string,
    options?: ErrorOptions,
  ) {
    super(stderr === "" ? message : `${message}: ${stderr}`, options);
  }
}

/** Where a program prints to. A returned promise asks it to wait. */
export interface OutputSink {
  write(data: Uint8Array): void | Promise<void>;
}

/** How a program ended. */
export interface Ending {
  readonly status: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

/** The Debian packages of programs that may not be there. */
const PACKAGES: Readonly<Record<string, string>> = {
  btrfs: "btrfs-progs",
  crun: "crun",
  docker: "docker.io",
  rsync: "rsync",
  runc: "runc",
  skopeo: "skopeo",
  umoci: "umoci",
  zfs: "zfsutils-linux",
  zpool: "zfsutils-linux",
};

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Kills the program (SIGKILL); the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Standard input; nothing by default. */
  readonly input?: string | Buffer;
  /**
   * Whether it is the leader of a process group of its own, which is killed as one: with what a
   * shell has started, and is still there.
   */
  readonly asGroup?: boolean;
  /** Bytes that it may print on each of its outputs; over it, it is killed. No limit by default. */
  readonly maxOutput?: number;
}

/**
 * Runs a program that has no log of its own and resolves with its standard output.
 * Rejects with `ProgramError`, which has its standard error.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { asGroup = false, cwd, env, signal, input, maxOutput } = options;
  signal?.throwIfAborted();
  const child = start(argv, {
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    detached: asGroup,
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
  });
  // It was not started; for want of files there are no pipes either. The reason comes.
  const { pid } = child.process;
  if (pid === undefined) await child.ended;
  const kill = () => {
    if (asGroup && pid !== undefined) signalAll([-pid], "SIGKILL");
    else child.process.kill("SIGKILL");
  };
  const read = (stream: Readable) =>
    text(stream, maxOutput).catch((error) => {
      kill();
      throw new ProgramError(`${commandText(argv)}: ${error.message}`, undefined, "");
    });
  signal?.addEventListener("abort", kill, { once: true });
  try {
    // A program may end without reading all of its input; its status says what that means.
    child.process.stdin?.on("error", () => {}).end(input);
    const [stdout, stderr, ending] = await Promise.all([
      read(child.process.stdout!),
      read(child.process.stderr!),
      child.ended,
    ]);
    signal?.throwIfAborted();
    expectSuccess(argv, ending, stderr.trim());
    return stdout;
  } finally {
    signal?.removeEventListener("abort", kill);
  }
}

/**
 * Runs a program whose output is for the user to read. Rejects with `ProgramError`, or with the
 * signal's reason.
 */
export async function runLogged(
  argv: readonly string[],
  { log, signal }: { readonly log: OutputSink; readonly signal: AbortSignal },
): Promise<void> {
  signal.throwIfAborted();
  const child = start(argv, { stdio: ["ignore", "pipe", "pipe"] });
  if (child.process.pid === undefined) await child.ended;
  const kill = () => child.process.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    const copy = async (stream: Readable) => {
      for await (const chunk of stream) await log.write(chunk as Buffer);
    };
    await Promise.all([copy(child.process.stdout!), copy(child.process.stderr!)]).catch((error) => {
      kill();
      throw error;
    });
    const ending = await child.ended;
    signal.throwIfAborted();
    expectSuccess(argv, ending);
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

/**
 * A started program. `ended` resolves when it is gone and its pipes are closed, and rejects if it
 * could not be started.
 */
export interface Started {
  readonly process: ReturnType<typeof spawn>;
  readonly ended: Promise<Ending>;
}

export interface StartOptions extends SpawnOptions {
  /**
   * Whether it is the user's own, and goes on when this process is killed. Others are marked to be
   * found (`orphans.ts`).
   */
  readonly isUsers?: boolean;
}

export function start(
  argv: readonly string[],
  { isUsers = false, env: given = process.env, ...options }: StartOptions,
): Started {
  const env = isUsers ? given : marked(given);
  const child = spawn(argv[0]!, argv.slice(1), { ...options, env });
  const ended = new Promise<Ending>((resolve, reject) => {
    child.on("error", (error) => reject(startFailure(argv, error)));
    child.on("close", (status, signal) =>
      resolve({ status: status ?? undefined, signal: signal ?? undefined }),
    );
  });
  ended.catch(() => {}); // Whoever started it may first wait for something else.
  return { process: child, ended };
}

/** Throws `ProgramError` unless the program ended with status 0. */
export function expectSuccess(argv: readonly string[], ending: Ending, stderr = ""): void {
  if (ending.status !== 0) throw new ProgramError(endingText(argv, ending), ending.status, stderr);
}

/** `"sh" "-c" "false" failed with exit status 1` */
export function endingText(argv: readonly string[], { status, signal }: Ending): string {
  const how = signal ? `signal ${signal}` : `exit status ${status}`;
  return `${commandText(argv)} failed with ${how}`;
}

/** `"sh" "-c" "false"`: the words as they are, without escapes. */
export function commandText(argv: readonly string[]): string {
  return argv.map((word) => `"${word}"`).join(" ");
}

function startFailure(argv: readonly string[], error: NodeJS.ErrnoException): Error {
  const program = argv[0]!;
  if (error.code !== "ENOENT") {
    return new ProgramError(`Cannot start ${program}: ${error.message}`, undefined, "", {
      cause: error,
    });
  }
  const name = PACKAGES[program];
  const hint = name ? `install it (Debian: apt-get install ${name})` : "install it, or fix PATH";
  return new ProgramError(`Program "${program}" not found; ${hint}`, undefined, "", {
    cause: error,
  });
}

async function text(stream: Readable, max = Number.POSITIVE_INFINITY): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > max) throw new Error(`it has printed more than ${max} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
