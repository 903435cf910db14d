/**
 * Looking for text in a log. One search reads a bounded number of bytes, and says where to go on.
 */
import { Slices } from "../../async/index.js";
import { looksLikeError } from "../log/index.js";
import { WEB_LIMITS } from "./limits.js";
import type { LogBlocks } from "./log-blocks.js";
import type { LogIndex } from "./log-index.js";

/** Characters of a line that are carried over from one block to the next. */
const MAX_CARRIED = 64 * 1024;

export interface LogQuestion {
  /** Undefined: what looks like an error. */
  readonly find: string | undefined;
  readonly matchCase: boolean;
  readonly backwards: boolean;
  /** The first line that is looked at. */
  readonly from: number;
  readonly limit: number;
}

export interface Found {
  readonly matches: readonly number[];
  /** The line to go on at; null: all was searched. */
  readonly next: number | null;
}

/** Rejects with an `ApiError`. */
export async function findInLog(
  blocks: LogBlocks,
  index: LogIndex,
  question: LogQuestion,
): Promise<Found> {
  const search = new Search(blocks, index, question);
  return question.backwards ? search.backwards() : search.forwards();
}

const ESCAPES = /\u001b\[[0-9;:?]{0,62}[A-Za-z]/g;

class Search {
  private readonly slices = new Slices();
  private readonly fits: (line: string) => boolean;
  private bytes = 0;

  constructor(
    private readonly blocks: LogBlocks,
    private readonly index: LogIndex,
    private readonly question: LogQuestion,
  ) {
    const { find, matchCase } = question;
    if (find === undefined) this.fits = looksLikeError;
    else if (matchCase) this.fits = (line) => line.includes(find);
    else {
      const wanted = find.toLowerCase();
      this.fits = (line) => line.toLowerCase().includes(wanted);
    }
  }

  async forwards(): Promise<Found> {
    const { from, limit } = this.question;
    const { index } = this;
    const entry = index.before(from);
    const matches: number[] = [];
    const { next } = await this.scan(entry, index.end, (line) => {
      if (line >= from) matches.push(line);
      return matches.length < limit;
    });
    const isAll = next === null && index.isCurrent && index.isWhole;
    return { matches, next: isAll ? null : (next ?? index.lines) };
  }

  async backwards(): Promise<Found> {
    const { from, limit } = this.question;
    const { index } = this;
    const matches: number[] = [];
    let end = from + 1;
    while (end > 0 && this.bytes < WEB_LIMITS.searchBytes) {
      const entry = index.before(end - 1);
      const until = index.behind(entry.offset)?.offset ?? index.end;
      const here: number[] = [];
      await this.scan(entry, until, (line) => {
        if (line < end) here.push(line);
        return true;
      });
      for (const line of here.reverse()) {
        matches.push(line);
        if (matches.length >= limit) return { matches, next: line === 0 ? null : line - 1 };
      }
      end = entry.line;
    }
    return { matches, next: end === 0 ? null : end - 1 };
  }

  /** Tells `found` of each line that fits, until it has enough. @returns where it has stopped */
  private async scan(
    { line: first, offset }: { readonly line: number; readonly offset: number },
    to: number,
    found: (line: number) => boolean,
  ): Promise<{ readonly next: number | null }> {
    let line = first;
    let carried = "";
    const most = this.question.backwards ? Number.POSITIVE_INFINITY : WEB_LIMITS.searchBytes;
    const decoder = new TextDecoder();
    for (let at = offset; at < to; ) {
      const block = (await this.blocks.read(this.index.name, at, this.index.end)).subarray(
        0,
        to - at,
      );
      if (block.length === 0) break;
      at += block.length;
      this.bytes += block.length;
      const lines = (carried + decoder.decode(block, { stream: true })).split("\n");
      carried = lines.pop()!.slice(-MAX_CARRIED);
      for (const text of lines) {
        if (this.matches(text) && !found(line)) return { next: line + 1 };
        line++;
      }
      if (this.bytes >= most && at < to) return { next: line };
      await this.slices.turn();
    }
    if (carried !== "" && this.matches(carried) && !found(line)) return { next: line + 1 };
    return { next: null };
  }

  private matches(text: string): boolean {
    return this.fits(text.includes("\u001b") ? text.replace(ESCAPES, "") : text);
  }
}
