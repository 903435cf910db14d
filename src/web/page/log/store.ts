/**
 * The lines of a log that have been looked at, in chunks. What is not there is fetched; what was
 * looked at longest ago goes, so that a log of any length takes the same room. The last chunk of a
 * log that grows is fetched anew with what came.
 */
import { signal } from "@preact/signals";
import { PLAIN, type Run, type Style, showLine } from "../../log/index.js";
import type { LogPage, LogState } from "../api/types.js";

/** Lines. */
const CHUNK = 200;
/** Characters that are kept, and chunks that are in any case. */
const MAX_CHARACTERS = 8_000_000;
const MIN_CHUNKS = 4;

interface Chunk {
  readonly lines: readonly string[];
  readonly cut: ReadonlySet<number>;
  readonly characters: number;
  /** As many as have been shown; the style before the next one. */
  readonly shown: (readonly Run[])[];
  style: Style;
  /** More of it has come since. */
  isStale: boolean;
}

export interface LogLine {
  readonly runs: readonly Run[];
  /** It is longer than that. */
  readonly isCut: boolean;
}

export type FetchPage = (from: number, lines: number, signal: AbortSignal) => Promise<LogPage>;

export class LogStore {
  readonly total = signal(0);
  readonly size = signal(0);
  readonly complete = signal(false);
  /** Grows when lines have come. */
  readonly version = signal(0);
  readonly error = signal<Error | null>(null);
  /** By their numbers, what was looked at last at the end. */
  readonly #chunks = new Map<number, Chunk>();
  readonly #loading = new Map<number, AbortController>();
  #wanted: readonly [first: number, last: number] = [0, -1];

  constructor(private readonly fetchPage: FetchPage) {}

  /** Line `number`, from 0; undefined: it is not there yet. */
  line(number: number): LogLine | undefined {
    const chunk = this.#chunks.get(Math.floor(number / CHUNK));
    const at = number % CHUNK;
    if (chunk === undefined || at >= chunk.lines.length) return undefined;
    while (chunk.shown.length <= at) {
      const { runs, style } = showLine(chunk.lines[chunk.shown.length]!, chunk.style);
      chunk.shown.push(runs);
      chunk.style = style;
    }
    return { runs: chunk.shown[at]!, isCut: chunk.cut.has(number) };
  }

  /** Has these lines come; what was asked for before, and is not among them, need not. */
  want(first: number, last: number): void {
    this.#wanted = [Math.floor(Math.max(0, first) / CHUNK), Math.floor(last / CHUNK)];
    for (const [index, controller] of this.#loading) {
      if (index >= this.#wanted[0] && index <= this.#wanted[1]) continue;
      controller.abort();
      this.#loading.delete(index);
    }
    this.#load();
  }

  /** What the stream tells. */
  grown({ complete, size, total }: LogState): void {
    // A killed scheduler has lost what it had shown; what is on its way may be of before.
    if (total < this.total.peek()) this.close();
    const isNew = size !== this.size.peek() || total !== this.total.peek();
    this.total.value = total;
    this.size.value = size;
    this.complete.value = complete;
    if (!isNew) return;
    this.#spoil(total);
    this.#load();
  }

  /** Forgets all lines, and what is on its way. */
  close(): void {
    for (const controller of this.#loading.values()) controller.abort();
    this.#loading.clear();
    this.#chunks.clear();
  }

  /** The chunks that are not full may have become so. */
  #spoil(total: number): void {
    for (const [index, chunk] of this.#chunks) {
      if (chunk.lines.length < CHUNK || (index + 1) * CHUNK >= total) chunk.isStale = true;
    }
  }

  #load(): void {
    const [first, last] = this.#wanted;
    for (let index = first; index <= last; index++) {
      const known = this.#chunks.get(index);
      if (known !== undefined) {
        this.#chunks.delete(index);
        this.#chunks.set(index, known);
      }
      if ((known === undefined || known.isStale) && !this.#loading.has(index)) {
        void this.#fetch(index);
      }
    }
  }

  async #fetch(index: number): Promise<void> {
    const controller = new AbortController();
    this.#loading.set(index, controller);
    const size = this.size.peek();
    try {
      const page = await this.fetchPage(index * CHUNK, CHUNK, controller.signal);
      if (controller.signal.aborted) return;
      this.#take(index, page, size);
      this.error.value = null;
    } catch (error) {
      if (!controller.signal.aborted) this.error.value = error as Error;
    } finally {
      if (this.#loading.get(index) === controller) this.#loading.delete(index);
    }
    // More may have come while this was on its way; what is wrong is tried when something comes.
    if (!controller.signal.aborted && this.error.peek() === null) this.#load();
  }

  #take(index: number, page: LogPage, sizeAsked: number): void {
    const known = Math.max(this.size.peek(), page.size);
    this.#chunks.set(index, {
      lines: page.lines,
      cut: new Set(page.cut),
      characters: page.lines.reduce((sum, line) => sum + line.length, 0),
      shown: [],
      style: page.sgr === "" ? PLAIN : showLine(page.sgr).style,
      isStale: page.size < this.size.peek() && sizeAsked !== this.size.peek(),
    });
    this.total.value = Math.max(this.total.peek(), page.total);
    this.size.value = known;
    this.complete.value ||= page.complete;
    this.#forget();
    this.version.value++;
  }

  #forget(): void {
    let characters = 0;
    for (const chunk of this.#chunks.values()) characters += chunk.characters;
    for (const [index, chunk] of this.#chunks) {
      if (characters <= MAX_CHARACTERS || this.#chunks.size <= MIN_CHUNKS) return;
      if (index >= this.#wanted[0] && index <= this.#wanted[1]) continue;
      characters -= chunk.characters;
      this.#chunks.delete(index);
    }
  }
}
