/**
 * A machine to run the documentation's commands on, as if by a reader: a shell in namespaces of its
 * own (machine.sh).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const ROOT = join(import.meta.dirname, "../..");

export interface Outcome {
  readonly status: number;
  readonly output: string;
}

export class Machine {
  /** Who wants the output of commands, by the file that they are in. */
  readonly #listeners = new Map<string, (text: string) => void>();
  readonly #ended: Promise<never>;
  #said = "";
  #files = 0;

  private constructor(
    private readonly dir: string,
    private readonly child: ChildProcess,
  ) {
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#said += text;
    });
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const [, file, text] = /^(\S+) ?(.*)$/s.exec(line) ?? [];
      this.#listeners.get(file ?? "")?.(text!);
    });
    this.#ended = once(child, "close").then(() => {
      throw new Error(`The machine has ended:\n${this.#said}`);
    });
    this.#ended.catch(() => {}); // It is meant to, in the end.
  }

  static async start(): Promise<Machine> {
    const dir = mkdtempSync(join(tmpdir(), "ocluster-docs-"));
    mkdirSync(join(dir, "machine"));
    const script = join(import.meta.dirname, "machine.sh");
    const child = spawn(
      "unshare",
      [
        ...["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
        ...["bash", script, join(dir, "machine"), process.execPath, ROOT],
      ],
      { stdio: ["pipe", "pipe", "pipe"] },
    );
    const machine = new Machine(dir, child);
    await machine.#listen("@ready", () => true);
    return machine;
  }

  /** Ends it, with everything that runs on it. */
  async stop(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.#ended.catch(() => {});
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Runs commands up to the first that fails; all have the same working directory. */
  async run(commands: string): Promise<Outcome> {
    let output = "";
    let status = 0;
    await this.#listen(this.#begin(commands), (line) => {
      const done = /^@done (\d+)$/.exec(line);
      if (done) status = Number(done[1]);
      else output += `${line}\n`;
      return done !== null;
    });
    return { status, output };
  }

  /** Starts commands that go on, and waits until they have printed something that matches. */
  async start(commands: string, pattern: RegExp): Promise<void> {
    let output = "";
    await this.#listen(this.#begin(commands), (line) => {
      output += `${line}\n`;
      if (/^@done /.test(line)) throw new Error(`It ended, without ${pattern}:\n${output}`);
      return pattern.test(output);
    });
  }

  #begin(commands: string): string {
    const file = join(this.dir, `commands-${++this.#files}`);
    writeFileSync(file, commands);
    this.child.stdin!.write(`${file}\n`);
    return file;
  }

  /** Gives `take` the lines that begin with `file`, until it returns true. */
  #listen(file: string, take: (text: string) => boolean): Promise<void> {
    const taken = new Promise<void>((resolve, reject) => {
      this.#listeners.set(file, (text) => {
        try {
          if (!take(text)) return;
          resolve();
        } catch (error) {
          reject(error);
        }
        this.#listeners.delete(file);
      });
    });
    return Promise.race([taken, this.#ended]);
  }
}
