/**
 * Where the lines of a log are: the beginning of a line every so many bytes, with its number and
 * the colours that are on there. Made while the log is read once; from it any line is found by
 * reading little.
 *
 * However long the log, the index is bounded: when it is full, every other entry goes, and the
 * distance doubles.
 */
import { Slices } from "../../async/index.js";
import type { LogBlocks, LogName } from "./log-blocks.js";
import { LogSteps, STEP_LINE } from "./log-steps.js";
import { applyBytes, MAX_SEQUENCE, Sgr } from "./sgr.js";

/** Bytes between two entries, at least, and how many there are at most. */
const DISTANCE = 64 * 1024;
const MAX_ENTRIES = 8192;

const NEWLINE = 0x0a;

export interface LogEntry {
  /** Byte at which the line begins. */
  readonly offset: number;
  readonly line: number;
  /** See `Sgr.toString`. */
  readonly sgr: string;
}

export class LogIndex {
  /** Bytes that the log has, as far as is known. */
  size = 0;
  /** It does not grow any more. */
  isWhole = false;
  private entries: LogEntry[] = [{ offset: 0, line: 0, sgr: "" }];
  private distance = DISTANCE;
  /** Bytes that were read, and whole lines in there. */
  private read = 0;
  private newlines = 0;
  private readonly sgr = new Sgr();
  /** What may be the beginning of a sequence, of the last block. */
  private rest: Buffer = Buffer.alloc(0);
  private readonly known = new LogSteps();
  /** The beginning of the line that is being read, if it may tell of a step. */
  private begun = "";
  /** The byte behind the last newline. */
  private lastNewline = 0;
  private coming: Promise<void> | null = null;

  constructor(
    readonly name: LogName,
    private readonly blocks: LogBlocks,
  ) {}

  /** Lines that are known; the last one may be without a newline yet. */
  get lines(): number {
    return this.newlines + (this.read > this.lastNewline ? 1 : 0);
  }

  /** The last line has no newline. */
  get isOpen(): boolean {
    return this.read > this.lastNewline;
  }

  /** All bytes that there are have been read. */
  get isCurrent(): boolean {
    return this.read >= this.size;
  }

  /** Where reading has come to. */
  get end(): number {
    return this.read;
  }

  get steps(): LogSteps {
    return this.known;
  }

  /** Says how the log is now. */
  update(size: number, isWhole: boolean): void {
    if (size > this.size) this.size = size;
    this.isWhole = isWhole;
  }

  /** Reads on to the end that is known. Shared by all who ask. Rejects with an `ApiError`. */
  advance(): Promise<void> {
    this.coming ??= this.readOn().finally(() => {
      this.coming = null;
    });
    return this.coming;
  }

  /** The last entry at or before the line. */
  before(line: number): LogEntry {
    return this.entries[this.position((entry) => entry.line <= line)]!;
  }

  /** The first entry behind the byte. */
  behind(offset: number): LogEntry | undefined {
    return this.entries[this.position((entry) => entry.offset <= offset) + 1];
  }

  /** The index of the last entry that fits, where all before it do. */
  private position(fits: (entry: LogEntry) => boolean): number {
    let [low, high] = [0, this.entries.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (fits(this.entries[middle]!)) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private async readOn(): Promise<void> {
    const slices = new Slices();
    while (this.read < this.size) {
      const block = await this.blocks.read(this.name, this.read, this.size);
      if (block.length === 0) {
        // It is shorter than was said: a killed scheduler has lost what it had shown.
        this.size = this.read;
        break;
      }
      this.take(block);
      await slices.turn();
    }
  }

  private take(block: Uint8Array): void {
    const bytes = Buffer.concat([this.rest, block]);
    /** Of the first of `bytes` in the log. */
    const base = this.read - this.rest.length;
    // Where colours were looked at, and lines: what is left of the last block has no newline.
    let looked = 0;
    let from = this.rest.length;
    for (;;) {
      const at = bytes.indexOf(NEWLINE, from);
      const isNew = base + from === this.lastNewline;
      this.lookAtLine(bytes, from, at < 0 ? bytes.length : at, isNew);
      if (at < 0) break;
      this.endLine();
      from = at + 1;
      const offset = base + from;
      this.lastNewline = offset;
      if (offset - this.entries.at(-1)!.offset < this.distance) continue;
      applyBytes(this.sgr, bytes, looked, from);
      looked = from;
      this.enter({ offset, line: this.newlines, sgr: this.sgr.toString() });
    }
    const end = unfinished(bytes, Math.max(from, looked));
    applyBytes(this.sgr, bytes, looked, end);
    this.rest = Buffer.from(bytes.subarray(end));
    this.read += block.length;
  }

  private lookAtLine(bytes: Buffer, from: number, to: number, isNew: boolean): void {
    const room = STEP_LINE - this.begun.length;
    if (room <= 0 || from === to) return;
    if (this.begun === "" && !(isNew && this.known.wants(bytes[from]!))) return;
    this.begun += bytes.toString("utf8", from, Math.min(to, from + room));
  }

  private endLine(): void {
    if (this.begun !== "") this.known.add(this.newlines, this.begun);
    this.begun = "";
    this.newlines++;
  }

  private enter(entry: LogEntry): void {
    this.entries.push(entry);
    if (this.entries.length <= MAX_ENTRIES) return;
    this.entries = this.entries.filter((_, index) => index % 2 === 0);
    this.distance *= 2;
  }
}

/** Where a sequence begins that may go on behind the bytes; their length if none does. */
function unfinished(bytes: Buffer, from: number): number {
  const at = bytes.lastIndexOf(0x1b);
  return at >= from && bytes.length - at < MAX_SEQUENCE ? at : bytes.length;
}
