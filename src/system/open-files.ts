/**
 * Files that are read in parts by whoever asks: the last ones stay open for a moment, as mostly
 * another part of the same is wanted.
 */
import { type FileHandle, open } from "node:fs/promises";

/** How many stay open, and for how long after they were read, in ms. */
const MOST = 16;
const IDLE_MS = 10_000;

interface Held {
  readonly handle: Promise<FileHandle>;
  readers: number;
  /** It is closed when nobody reads it any more. */
  isDropped: boolean;
}

export class OpenFiles {
  /** By path, the last that was read at the end. */
  readonly #held = new Map<string, Held>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * Reads into `data` as much as there is, and returns how much. Rejects with the system's error.
   */
  async read(path: string, data: Uint8Array, position: number): Promise<number> {
    const held = this.#take(path);
    try {
      const handle = await held.handle;
      const { bytesRead } = await handle.read(data, 0, data.length, position);
      return bytesRead;
    } catch (error) {
      this.#drop(path, held);
      throw error;
    } finally {
      held.readers--;
      closeUnused(held);
      this.#timer ??= setTimeout(() => this.close(), IDLE_MS).unref();
      this.#timer.refresh();
    }
  }

  /** Closes all that nobody reads just now, and the others after that. */
  close(): void {
    for (const [path, held] of this.#held) this.#drop(path, held);
  }

  #take(path: string): Held {
    const there = this.#held.get(path);
    const held = there ?? { handle: open(path, "r"), readers: 0, isDropped: false };
    held.readers++;
    this.#held.delete(path);
    this.#held.set(path, held);
    if (this.#held.size > MOST) {
      const [oldest] = this.#held;
      this.#drop(...oldest!);
    }
    return held;
  }

  #drop(path: string, held: Held): void {
    if (this.#held.get(path) === held) this.#held.delete(path);
    held.isDropped = true;
    closeUnused(held);
  }
}

function closeUnused(held: Held): void {
  if (!held.isDropped || held.readers > 0) return;
  // One that could not be opened has told so to who has read it.
  held.handle.then((handle) => handle.close()).catch(() => {});
}
