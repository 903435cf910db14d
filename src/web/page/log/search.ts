/**
 * The search of a log, which the server does: which lines match, as far as it has looked, and which
 * of them one is at.
 */
import { signal } from "@preact/signals";
import type { LogMatches } from "../api/types.js";

export type FindLines = (find: string, from: number, signal: AbortSignal) => Promise<LogMatches>;

/** Lines that match, of those that are remembered. */
const MAX_MATCHES = 20_000;

export class LogSearch {
  readonly find = signal("");
  readonly matches = signal<readonly number[]>([]);
  /** Where in `matches` one is; -1: nowhere. */
  readonly at = signal(-1);
  readonly busy = signal(false);
  /** Why it could not be looked for, here or further on; null: it could. */
  readonly failure = signal<string | null>(null);
  /** Where to look on; null: all has been looked at. */
  readonly next = signal<number | null>(null);
  #controller = new AbortController();

  constructor(private readonly findLines: FindLines) {}

  /** Begins a search, and returns the first line that matches from `line` on, or else of all. */
  async start(find: string, line: number): Promise<number | null> {
    this.stop();
    this.find.value = find;
    if (find === "") return null;
    await this.#look(0);
    // A log that is searched in parts: until something is there.
    while (this.matches.peek().length === 0 && this.#hasMore()) await this.#more();
    const matches = this.matches.peek();
    const at = matches.findIndex((match) => match >= line);
    this.at.value = matches.length === 0 ? -1 : Math.max(0, at);
    return matches[this.at.peek()] ?? null;
  }

  /** The next match in that direction, from the end on at the other one; null: there is none. */
  async step(by: 1 | -1): Promise<number | null> {
    const to = this.at.peek() + by;
    if (to >= this.matches.peek().length && this.next.peek() !== null) {
      await this.#more();
      // There may be more: one does not go on at the other end.
      if (this.failure.peek() !== null) return null;
    }
    const { length } = this.matches.peek();
    if (length === 0) return null;
    this.at.value = (to + length) % length;
    return this.matches.peek()[this.at.peek()] ?? null;
  }

  stop(): void {
    this.#controller.abort();
    this.#controller = new AbortController();
    this.find.value = "";
    this.matches.value = [];
    this.next.value = null;
    this.at.value = -1;
    this.busy.value = false;
    this.failure.value = null;
  }

  #hasMore(): boolean {
    return this.next.peek() !== null && this.failure.peek() === null;
  }

  async #more(): Promise<void> {
    await this.#look(this.next.peek() ?? 0);
  }

  async #look(from: number): Promise<void> {
    const { signal } = this.#controller;
    this.busy.value = true;
    this.failure.value = null;
    try {
      const { matches, next } = await this.findLines(this.find.peek(), from, signal);
      if (signal.aborted) return;
      const all = [...this.matches.peek(), ...matches];
      this.matches.value = all.slice(0, MAX_MATCHES);
      this.next.value = all.length >= MAX_MATCHES || next === from ? null : next;
    } catch (error) {
      if (signal.aborted) return;
      this.next.value = from;
      this.failure.value = (error as Error).message;
    } finally {
      if (!signal.aborted) this.busy.value = false;
    }
  }
}
