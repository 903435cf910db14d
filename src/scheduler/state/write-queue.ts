/**
 * Writing to a database that another program has locked, such as a backup or somebody's `sqlite3`:
 * writes wait for it without keeping anybody else waiting, and in their order.
 *
 * A write is done at once if it can be. If the database is locked it is tried again now and then,
 * and all later ones wait behind it. Who asked for it learns of its success, or in the end of the
 * failure: nothing that was acknowledged is ever lost.
 */
import { setTimeout as pause } from "node:timers/promises";
import { StoreError } from "./store-error.js";

/** Pauses between tries, in ms: each is twice as long as the one before, up to the longest. */
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;

/**
 * For how long a write waits, in ms, though it is tried once at least: longer than an administrator
 * would like, shorter than a worker waits.
 */
const PATIENCE_MS = 10_000;

export class WriteQueue {
  /** The write that was asked for last, while any waits. */
  private last: Promise<void> | undefined;

  constructor(private readonly patienceMs = PATIENCE_MS) {}

  /**
   * Has `write` done, which changes nothing if it throws a `StoreError`. Gives what it returns, and
   * rejects with what it throws; a locked database only if it stays so for long.
   */
  async run<T>(write: () => T): Promise<T> {
    if (this.last === undefined) {
      try {
        return write();
      } catch (error) {
        if (!isLocked(error)) throw error;
      }
    }
    const result = this.runLater(write, this.last);
    const settled = result.then(ignore, ignore).then(() => {
      if (this.last === settled) this.last = undefined;
    });
    this.last = settled;
    return result;
  }

  private async runLater<T>(write: () => T, before: Promise<void> | undefined): Promise<T> {
    // From now on: who waits behind many others shall not wait for as many times as long.
    const end = performance.now() + this.patienceMs;
    await before;
    for (let ms = FIRST_PAUSE_MS; ; ms = Math.min(2 * ms, LONGEST_PAUSE_MS)) {
      try {
        return write();
      } catch (error) {
        if (!isLocked(error) || performance.now() >= end) throw error;
      }
      await pause(ms);
    }
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof StoreError && error.kind === "locked";
}

function ignore(): void {}
