/**
 * A log for programs: a JSON object for each line of it, `{"id":17,"attempt":1,"line":"…"}`. Bytes
 * that are no UTF-8 are U+FFFD.
 */
import { visibleJson } from "../../text/index.js";

/** Longer lines come in pieces, so that a log without line ends takes no more memory. */
const LONGEST = 1024 * 1024;

export class LogLines {
  private attempt = 0;
  private decoder = new TextDecoder();
  private open = "";

  constructor(private readonly job: number) {}

  /** More of a log; returns the lines that are whole. */
  add(data: Uint8Array, attempt: number): string[] {
    const before = attempt === this.attempt ? [] : this.end();
    this.attempt = attempt;
    const lines = (this.open + this.decoder.decode(data, { stream: true })).split("\n");
    this.open = lines.pop()!;
    if (this.open.length > LONGEST) {
      lines.push(this.open);
      this.open = "";
    }
    return [...before, ...lines.map((line) => this.write(line))];
  }

  /** The last line, if it has no end. */
  end(): string[] {
    const rest = this.open + this.decoder.decode();
    this.decoder = new TextDecoder();
    this.open = "";
    return rest === "" ? [] : [this.write(rest)];
  }

  private write(line: string): string {
    return visibleJson({ id: this.job, attempt: this.attempt, line });
  }
}
