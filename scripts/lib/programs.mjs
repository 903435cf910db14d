// The programs of a demonstration: started, watched, and ended.

import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { join } from "node:path";
import { ROOT, SetUpError } from "./process.mjs";

/** How long a program may take to clean up after itself. */
const PATIENCE_MS = 20_000;

/** One of our programs as a process. */
export class Program {
  /** What it has printed on standard output, and there and on standard error together. */
  stdout = "";
  output = "";
  #events = new EventEmitter();
  #ended = false;

  /**
   * @param {string} name such as "ocluster-worker"
   * @param {readonly string[]} args
   * @param {{ cwd: string, show?: boolean }} options `show`: pass its standard output on
   */
  constructor(name, args, { cwd, show = false }) {
    this.name = name;
    this.child = spawn(process.execPath, [join(ROOT, "dist/bin", `${name}.js`), ...args], {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      // In a group of its own: the terminal's Ctrl-C reaches us alone, and we end the programs in
      // order.
      detached: true,
    });
    this.child.stdout.setEncoding("utf8").on("data", (text) => {
      this.stdout += text;
      this.output += text;
      if (show) process.stdout.write(text);
      this.#events.emit("change");
    });
    this.child.stderr.setEncoding("utf8").on("data", (text) => {
      this.output += text;
      this.#events.emit("change");
    });
    this.child.on("close", () => {
      this.#ended = true;
      this.#events.emit("change");
    });
  }

  /**
   * Waits until it has printed something that matches.
   * @param {RegExp} pattern
   * @param {AbortSignal} signal
   */
  async prints(pattern, signal) {
    await this.#until(() => this.#ended || pattern.test(this.output), signal);
    if (!pattern.test(this.output)) throw new SetUpError(`${this.name} ended too early.`);
  }

  /**
   * Waits for its end, which must be a success; returns its standard output.
   * @param {AbortSignal} signal
   */
  async succeeds(signal) {
    await this.#until(() => this.#ended, signal);
    if (this.child.exitCode !== 0) throw new SetUpError(`${this.name} failed.`);
    return this.stdout;
  }

  /** Asks it to end, and waits until it has. */
  async stop() {
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), PATIENCE_MS);
    await this.#until(() => this.#ended);
    clearTimeout(timer);
  }

  /**
   * @param {() => boolean} condition
   * @param {AbortSignal} [signal]
   */
  async #until(condition, signal) {
    while (!condition()) await once(this.#events, "change", { signal });
  }
}
