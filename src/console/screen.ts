/**
 * A whole terminal for a view that is redrawn in place: the alternate screen, without a cursor,
 * with keys as they are pressed. However the program ends, short of SIGKILL, the terminal is as
 * before.
 *
 * Life: *open* until `close`. While the process is stopped (Ctrl-Z, SIGTSTP) the terminal belongs
 * to the shell; it is taken again when the process goes on.
 */
import type { ReadStream, WriteStream } from "node:tty";

/** What happens to a screen. */
export interface ScreenEvents {
  /** A key, as the terminal sends it: "q", or "\x1b[A" for the arrow up. Ctrl-C is "\x03". */
  onKey(key: string): void;
  /** The size has changed, or the screen is blank again: it should be drawn. */
  onRedraw(): void;
}

const CTRL_Z = "\u001a";

/**
 * A key in what a terminal has sent, which can be several: a control sequence, or one character.
 */
const KEY = /\u001b[[O][0-?]*[ -/]*[@-~]|./gsu;

// xterm's control sequences, which terminals have in common: alternate screen, cursor, and whether
// long lines wrap.
const ENTER = "\u001b[?1049h\u001b[?25l\u001b[?7l";
const LEAVE = "\u001b[?7h\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

export class Screen {
  private isOpen = true;
  private taken = false;

  /** @param input where keys come from; if that is no terminal there are none. */
  constructor(
    private readonly events: ScreenEvents,
    private readonly input: ReadStream = process.stdin,
    private readonly output: WriteStream = process.stdout,
  ) {
    process.on("exit", this.close);
    process.on("SIGTSTP", this.stop);
    input.setEncoding("utf8").on("data", this.onInput);
    output.on("resize", this.redraw);
    this.take();
  }

  /** Like `rows`: 0, which a serial line may say, means that nobody knows. */
  get columns(): number {
    return this.output.columns || 80;
  }

  get rows(): number {
    return this.output.rows || 24;
  }

  /**
   * Shows these lines, without control characters but for colours; what does not fit is cut off.
   */
  draw(lines: readonly string[]): void {
    if (!this.taken) return;
    const shown = lines.slice(0, this.rows).map((line) => line + CLEAR_LINE);
    this.output.write(`${HOME}${shown.join("\r\n")}${CLEAR_BELOW}`);
  }

  /** Gives the terminal back, for good. */
  readonly close = (): void => {
    if (!this.isOpen) return;
    this.isOpen = false;
    process.off("exit", this.close);
    process.off("SIGTSTP", this.stop);
    this.input.off("data", this.onInput);
    this.output.off("resize", this.redraw);
    this.giveBack();
  };

  private take(): void {
    this.taken = true;
    if (this.input.isTTY) {
      this.input.setRawMode(true);
      this.input.resume();
    }
    this.output.write(ENTER);
  }

  private giveBack(): void {
    if (!this.taken) return;
    this.taken = false;
    this.output.write(LEAVE);
    if (this.input.isTTY) {
      this.input.setRawMode(false);
      this.input.pause();
    }
  }

  private readonly onInput = (text: string): void => {
    // As the terminal would do it: everybody in the foreground is told, the shell's script around
    // us too.
    if (text.includes(CTRL_Z)) process.kill(0, "SIGTSTP");
    else for (const [key] of text.matchAll(KEY)) this.events.onKey(key);
  };

  private readonly stop = (): void => {
    this.giveBack();
    process.off("SIGTSTP", this.stop);
    // Stops the process here, unless nobody is there to let it go on.
    process.kill(process.pid, "SIGTSTP");
    setImmediate(() => {
      if (!this.isOpen) return;
      process.on("SIGTSTP", this.stop);
      this.take();
      this.redraw();
    });
  };

  private readonly redraw = (): void => this.events.onRedraw();
}
