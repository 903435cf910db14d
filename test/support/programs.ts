/**
 * The project's programs as a user runs them: processes of the built `dist`, with their output
 * gathered and awaited.
 *
 * A test waits for output or for the end of a process, never for a time. What was started is
 * stopped by `stopAll`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";

/** A benchmark that uses this is bundled into the `node_modules` of the checkout. */
const [place = "", bundle] = import.meta.dirname.split("/node_modules/");
const DIST = join(bundle === undefined ? join(place, "../..") : place, "dist/bin");

export type ProgramName =
  | "ocluster-scheduler"
  | "ocluster-worker"
  | "ocluster-client"
  | "ocluster-admin"
  | "ocluster-autoscaler"
  | "ocluster-web"
  | "obuilder"
  /** The path of a program of the test's own. */
  | `/${string}`;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

const running = new Set<Program>();

/** One started process. */
export class Program {
  stdout = "";
  stderr = "";
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();

  constructor(
    readonly name: ProgramName,
    readonly args: readonly string[],
    options: ProgramOptions = {},
  ) {
    const path = name.startsWith("/") ? name : join(DIST, `${name}.js`);
    const child = spawn(process.execPath, [path, ...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    running.add(this);
    child.stdin!.on("error", () => {}); // A program may end before it reads its input.
    child.stdin!.end(options.input ?? "");
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.#changed();
    });
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.#changed();
    });
    this.ended = once(child, "close").then(([code, signal]) => {
      running.delete(this);
      this.#changed();
      return { code, signal, stdout: this.stdout, stderr: this.stderr };
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get hasEnded(): boolean {
    return !running.has(this);
  }

  /** Waits until the output matches; fails, with all output, when the process ends before. */
  async sees(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpMatchArray> {
    for (;;) {
      const match = this[stream].match(pattern);
      if (match) return match;
      if (this.hasEnded)
        throw new Error(`${this.name} ended without ${pattern} in ${stream}:\n${this.describe()}`);
      await new Promise<void>((resolve) => {
        const watcher = () => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends `signal` and waits for the end. */
  stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Ended> {
    this.signal(signal);
    return this.ended;
  }

  describe(): string {
    return `$ ${this.name} ${this.args.join(" ")}\n--- stdout\n${this.stdout}\n--- stderr\n${this.stderr}`;
  }

  #changed(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

/** Runs a program to its end. */
export function run(
  name: ProgramName,
  args: readonly string[],
  options?: ProgramOptions,
): Promise<Ended> {
  return new Program(name, args, options).ended;
}

/** Ends whatever of `Program` still runs; for `afterEach`. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].reverse().map((program) => program.stop("SIGKILL")));
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return address.port;
}
