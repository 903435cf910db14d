/**
 * What a program may do with a terminal: decide on colour, show progress in place, and keep whole
 * lines whole.
 *
 * Two kinds of progress share standard error with the log. An *announcement* (`Connecting to X...
 * `) is printed whether or not anybody watches, and is completed on its own line. A *status* is a
 * line redrawn in place; it exists only on a terminal that can do that, and steps aside whenever
 * something else is written.
 */
import { fstatSync } from "node:fs";
import { clipText } from "./cells.js";

export const COLORS = ["auto", "always", "never"] as const;
export type ColorChoice = (typeof COLORS)[number];

/** The part of a stream that is needed here; `process.stdout` and `process.stderr` fit. */
export interface Sink {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
  /** Its size has changed. */
  on?(event: "resize", listener: () => void): unknown;
}

/**
 * Whether to colour what goes to `sink`. "auto": only for a terminal that can (`TERM` is set and
 * not `dumb`), and unless the variable `NO_COLOR` is set and not empty (https://no-color.org).
 */
export function useColor(
  choice: ColorChoice,
  sink: Sink,
  env: Readonly<Record<string, string | undefined>> = process.env,
): boolean {
  if (choice !== "auto") return choice === "always";
  return sink.isTTY === true && !env.NO_COLOR && env.TERM !== undefined && env.TERM !== "dumb";
}

/** Whether `sink` is a terminal that can show something in place of what it has shown. */
export function canRedraw(
  sink: Sink,
  env: Readonly<Record<string, string | undefined>> = process.env,
): boolean {
  return sink.isTTY === true && env.TERM !== undefined && env.TERM !== "dumb";
}

const CODES = {
  bold: 1,
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36,
  brightBlue: 94,
} as const;

/** `text` in a colour, when `on`. */
export function paint(on: boolean, color: keyof typeof CODES, text: string): string {
  return on ? `\u001b[${CODES[color]}m${text}\u001b[0m` : text;
}

/** Also of what a terminal has made two lines of when it became narrow. */
const ERASE_STATUS = "\r\u001b[J";

/**
 * Writes lines, one announcement and one status line to a sink, without one breaking into another.
 */
export class Terminal {
  /**
   * The announcement whose outcome is not known yet, and whether the cursor still stands at its
   * end.
   */
  #announced: { text: string; interrupted: boolean } | undefined;
  #wanted = "";
  /** As much of it as fits, which is what stands there. */
  #status = "";
  /** Whether announcements and status lines are shown at all. */
  showsProgress = true;

  /** @param showsStatus whether the sink can show a status line */
  constructor(
    private readonly sink: Sink,
    readonly showsStatus = sink.isTTY === true,
  ) {
    if (showsStatus) sink.on?.("resize", () => this.#fitStatus());
  }

  /** Writes `text` and a newline, as one piece. */
  line(text: string): void {
    this.withoutStatus(() => {
      if (this.#announced && !this.#announced.interrupted) {
        this.#announced.interrupted = true;
        this.sink.write("\n");
      }
      this.sink.write(`${text}\n`);
    });
  }

  /** Writes `text...` and leaves the line open until `conclude`. */
  announce(text: string): void {
    if (!this.showsProgress) return;
    if (this.#announced) this.conclude("");
    this.#eraseStatus();
    this.#announced = { text: `${text}... `, interrupted: false };
    this.sink.write(this.#announced.text);
  }

  /** Completes the announcement with its outcome; repeats it if lines came in between. */
  conclude(outcome: string): void {
    if (!this.#announced) return;
    const { text, interrupted } = this.#announced;
    this.#announced = undefined;
    this.sink.write(`${interrupted ? text : ""}${outcome}\n`);
    this.#drawStatus();
  }

  /**
   * Shows `text` as the last line, in place of the previous status; "" removes it. Nothing happens
   * where there can be none.
   */
  status(text: string): void {
    if (!this.showsStatus || !this.showsProgress) return;
    this.#wanted = text;
    this.#fitStatus();
  }

  /**
   * Runs `write`, which writes to this terminal by another way (standard output, say), with the
   * status line hidden.
   */
  withoutStatus(write: () => void): void {
    this.#eraseStatus();
    write();
    this.#drawStatus();
  }

  #eraseStatus(): void {
    if (this.#status !== "") this.sink.write(ERASE_STATUS);
  }

  /** Draws the status that is wanted as it fits, if that is not what stands there. */
  #fitStatus(): void {
    // A line that wraps could not be erased again. A serial line may say that it has 0 columns.
    const fitting = clipText(this.#wanted, Math.max(1, (this.sink.columns || 80) - 1));
    if (fitting === this.#status) return;
    this.#eraseStatus();
    this.#status = fitting;
    this.#drawStatus();
  }

  #drawStatus(): void {
    // With the cursor at its beginning: there it stays when the terminal becomes narrow, and breaks
    // the line.
    if (this.#status !== "") this.sink.write(`${this.#status}\r`);
  }
}

/**
 * The terminal that the log, progress and errors share. Who reads standard output from a pipe
 * (`… | tee log`) may write to it as well, unknown to us, so there is no status line then.
 */
export const stderrTerminal = new Terminal(
  process.stderr,
  canRedraw(process.stderr) && !isPipe(process.stdout.fd),
);

function isPipe(descriptor: number): boolean {
  const stats = fstatSync(descriptor);
  return stats.isFIFO() || stats.isSocket();
}
