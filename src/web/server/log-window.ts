/**
 * Lines of a log as a terminal would show them: what a carriage return has overwritten is gone, and
 * of a line that nobody could read all of there is a part. What it costs is bounded, whatever the
 * lines are: there may come fewer than were asked for, but for the last.
 */
import { WEB_LIMITS } from "./limits.js";
import { BLOCK, type LogBlocks } from "./log-blocks.js";
import type { LogIndex } from "./log-index.js";
import { applyAll, applyBytes, Sgr } from "./sgr.js";

/** Characters of a line that are shown. */
const MAX_LINE = WEB_LIMITS.lineBytes;

/** A line with more bytes is not read to its end. */
const LONG = 64 * 1024;

/** Bytes that one window reads, and characters that it has, from which on it ends. */
const MAX_READ = WEB_LIMITS.windowBytes;
const MAX_TEXT = 1024 * 1024;

const NEWLINE = 0x0a;

export interface LogLines {
  readonly from: number;
  readonly lines: readonly string[];
  /** Numbers of lines of which this is a part. */
  readonly cut: readonly number[];
  readonly open: boolean;
  readonly sgr: string;
}

/** What `index` knows of the lines. Rejects with an `ApiError`. */
export async function logLines(
  blocks: LogBlocks,
  index: LogIndex,
  from: number,
  count: number,
): Promise<LogLines> {
  const entry = index.before(from);
  const window = new Window(blocks, index, from, Math.min(count, index.lines - from));
  await window.read(entry.offset, entry.line, Sgr.of(entry.sgr));
  return window;
}

class Window implements LogLines {
  readonly lines: string[] = [];
  readonly cut: number[] = [];
  open = false;
  sgr = "";
  private text = 0;
  private bytes = 0;

  constructor(
    private readonly blocks: LogBlocks,
    private readonly index: LogIndex,
    readonly from: number,
    private readonly count: number,
  ) {}

  async read(start: number, first: number, sgr: Sgr): Promise<void> {
    const { index } = this;
    let line = first;
    let at = start;
    let rest: Buffer = Buffer.alloc(0);
    if (line === this.from) this.sgr = sgr.toString();
    while (!this.isFull && at < index.end) {
      const block = await this.blocks.read(index.name, at, index.end);
      if (block.length === 0) break;
      this.bytes += block.length;
      const bytes = Buffer.concat([rest, block]);
      at += block.length;
      let begin = 0;
      for (;;) {
        const end = bytes.indexOf(NEWLINE, begin);
        if (end < 0 || this.isFull) break;
        if (line >= this.from) this.put(line, bytes.subarray(begin, end), false);
        else applyBytes(sgr, bytes, begin, end);
        begin = end + 1;
        if (++line === this.from) this.sgr = sgr.toString();
      }
      rest = bytes.subarray(begin);
      if (rest.length <= LONG || this.isFull) continue;
      const next = await this.skip(line, rest, at - rest.length, at);
      if (next === null) return;
      [rest, at, line] = [Buffer.alloc(0), next.offset, next.line];
      if (line <= this.from) [sgr, this.sgr] = [Sgr.of(next.sgr), next.sgr];
    }
    if (rest.length === 0 || this.isFull || line < this.from) return;
    this.open = true;
    this.put(line, rest, false);
  }

  /** Goes behind a very long line that begins at `begin`; null if nothing is known there. */
  private async skip(line: number, head: Buffer, begin: number, at: number) {
    const { index } = this;
    const next = index.behind(begin);
    const isNext = next?.line === line + 1;
    const end = isNext ? next.offset - 1 : index.end;
    if (next && !isNext) {
      // The index does not tell where it ends: there are other lines before its next entry.
      return await this.search(line, head, at);
    }
    if (line >= this.from) {
      const tail = await this.tail(Math.max(at, end - MAX_LINE), end);
      if (!next) this.open = true;
      this.put(line, tail.includes(0x0d) ? tail : head.subarray(0, MAX_LINE), true);
    }
    return next ?? null;
  }

  private async search(line: number, head: Buffer, from: number) {
    for (let at = from; at < this.index.end && this.bytes < MAX_READ; ) {
      const block = Buffer.from(await this.blocks.read(this.index.name, at, this.index.end));
      if (block.length === 0) break;
      this.bytes += block.length;
      const end = block.indexOf(NEWLINE);
      if (end >= 0) {
        if (line >= this.from) this.put(line, head.subarray(0, MAX_LINE), true);
        return { offset: at + end + 1, line: line + 1, sgr: "" };
      }
      at += block.length;
    }
    if (line >= this.from) this.put(line, head.subarray(0, MAX_LINE), true);
    return null;
  }

  private async tail(from: number, to: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for (let at = from; at < to; ) {
      const block = await this.blocks.read(this.index.name, at, this.index.end);
      if (block.length === 0) break;
      this.bytes += Math.min(block.length, BLOCK);
      parts.push(block.subarray(0, to - at));
      at += block.length;
    }
    return Buffer.concat(parts);
  }

  private put(line: number, bytes: Buffer, isPart: boolean): void {
    const text = asOnTerminal(bytes.toString("utf8"));
    const isCut = isPart || text.length > MAX_LINE;
    if (isCut) this.cut.push(line);
    const shown = text.length > MAX_LINE ? text.slice(0, MAX_LINE) : text;
    this.text += shown.length;
    this.lines.push(shown);
  }

  private get isFull(): boolean {
    const isLarge = this.text > MAX_TEXT || this.bytes > MAX_READ;
    return this.lines.length >= this.count || (isLarge && this.lines.length > 0);
  }
}

/** A line, without what later parts of it have overwritten; colours that go on stay. */
export function asOnTerminal(text: string): string {
  if (!text.includes("\r")) return text;
  const parts = text.split("\r");
  let last = parts.length - 1;
  while (last > 0 && parts[last] === "") last--;
  if (last === 0) return parts[0]!;
  const sgr = new Sgr();
  for (const part of parts.slice(0, last)) applyAll(sgr, part);
  return sgr.toString() + parts[last]!;
}
