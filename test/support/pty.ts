/**
 * One of the project's programs on a real terminal: a pseudo-terminal made by script(1) of
 * util-linux, which passes our keys on and gives us what the terminal is sent.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");

export interface PtyOptions {
  readonly columns?: number;
  readonly rows?: number;
}

export class Pty {
  /** All that the terminal was sent since it was last looked at by `sees`. */
  unseen = "";
  private readonly child: ChildProcess;
  private readonly watchers = new Set<() => void>();
  private hasEnded = false;
  /** The status a shell would give: 128 + N when a signal ended it. */
  readonly ended: Promise<number | null>;

  private constructor(script: string, { columns = 80, rows = 24 }: PtyOptions) {
    // The terminal's name comes first, for `resize`.
    const command = `stty cols ${columns} rows ${rows}; tty; ${script}`;
    this.child = spawn("script", ["--quiet", "--flush", "--return", "-c", command, "/dev/null"], {
      cwd: ROOT,
      env: { ...process.env, TERM: "xterm", SHELL: "/bin/bash" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.unseen += text;
      this.wake();
    });
    this.ended = once(this.child, "close").then(([code]) => {
      this.hasEnded = true;
      this.wake();
      return code;
    });
  }

  /** Runs a shell command on a terminal of its own. */
  static run(script: string, options: PtyOptions = {}): Pty {
    return new Pty(script, options);
  }

  /** The shell's words for a program of ours. */
  static program(name: string, args: readonly string[]): string {
    return shellWords([process.execPath, join(ROOT, "dist/bin", `${name}.js`), ...args]);
  }

  /** Waits for output that matches, and takes it and all before it. */
  async sees(pattern: RegExp | string): Promise<string> {
    for (;;) {
      const match = typeof pattern === "string" ? pattern : pattern.exec(this.unseen)?.[0];
      const at = match === undefined ? -1 : this.unseen.indexOf(match);
      if (match !== undefined && at >= 0) {
        const end = at + match.length;
        const seen = this.unseen.slice(0, end);
        this.unseen = this.unseen.slice(end);
        return seen;
      }
      if (this.hasEnded) throw new Error(`It ended without ${pattern}:\n${this.unseen}`);
      await new Promise<void>((resolve) => this.watchers.add(resolve));
    }
  }

  press(keys: string): void {
    this.child.stdin!.write(keys);
  }

  /** @param tty the terminal's name, which comes first of all */
  static resize(tty: string, columns: number, rows: number): void {
    execFileSync("stty", ["-F", tty, "cols", `${columns}`, "rows", `${rows}`]);
  }

  /** Takes the terminal away, if it is still there. */
  async close(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  private wake(): void {
    for (const watcher of this.watchers) watcher();
    this.watchers.clear();
  }
}

/** A command line that a shell reads as these words. */
export function shellWords(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
}
