/**
 * Which attempts at durable jobs this worker has, on disk: what must be known if the process is
 * killed, or the power fails.
 *
 * One file, a line of JSON for each thing that happens to an attempt, of which the last one counts:
 *
 *     {"book":"5f…","job":17,"attempt":2,"state":"running"}
 *     {"book":"5f…","job":17,"attempt":2,"state":"ended","ending":{"cause":"succeeded",…},"log":{"text":"…"}}
 *     {"book":"5f…","job":17,"attempt":2,"state":"forgotten"}
 *
 * A file for each attempt would cost several syncs of several milliseconds each; here all that was
 * said while the disk was busy goes there together, with one. When most of the file is about
 * attempts that are forgotten, or something could not be written, a new file takes its place with
 * what still counts. A line that was cut short by a crash is left out: nobody was told that it is
 * on disk.
 */
import { type FileHandle, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../../system/index.js";
import { writeFully } from "../log/log-file.js";
import type { EndCause, Ending } from "./ending.js";

/** An attempt at a durable job, as no other is called. */
export interface AttemptId {
  /** The scheduler's records that the numbers are of, as hexadecimal digits. */
  readonly book: string;
  readonly job: number;
  readonly attempt: number;
}

/**
 * Where the log of an attempt is that has ended: a short one is with its end, others have a file.
 */
export type StoredLog = { readonly text: string } | { readonly size: number };

/** What is on disk of an attempt. A log's text is its bytes in Base64. */
export type Entry = AttemptId &
  (
    | { readonly state: "running" }
    | { readonly state: "ended"; readonly ending: Ending; readonly log: StoredLog }
    | { readonly state: "forgotten" }
  );

/** Bytes about nothing that still counts, for which no new file is written. */
const TOLERATED = 1024 * 1024;

/** Distinct for distinct attempts. */
export function keyOf({ attempt, book, job }: AttemptId): string {
  return `${job}-${attempt}-${book}`;
}

export class AttemptJournal {
  /** The last line of each attempt that is not forgotten. */
  readonly #lines = new Map<string, Buffer>();
  #live = 0;
  /** The file, with what is known to be in it; undefined: it has to be written anew. */
  #file: { readonly handle: FileHandle; length: number } | undefined;
  #waiting: Buffer[] = [];
  /** The write that will take what is waiting. */
  #next: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(private readonly path: string) {}

  /**
   * Reads what an earlier process has left in the file, if there is one. Throws the system's error.
   */
  static async open(path: string): Promise<{ journal: AttemptJournal; entries: Entry[] }> {
    const journal = new AttemptJournal(path);
    const entries = new Map<string, Entry>();
    for (const entry of await readEntries(path)) {
      entries.set(keyOf(entry), entry);
      journal.#remember(entry);
    }
    await journal.#rewrite();
    const left = [...entries.values()].filter(({ state }) => state !== "forgotten");
    return { journal, entries: left };
  }

  /**
   * Resolves when that is on disk. Rejects with the system's error if it cannot be, and then tries
   * again with whatever is written next.
   */
  write(entry: Entry): Promise<void> {
    this.#waiting.push(this.#remember(entry));
    return this.sync();
  }

  /** Resolves when all that was said so far is on disk; rejects as `write` does. */
  sync(): Promise<void> {
    this.#next ??= this.#writing.then(() => this.#flush());
    return this.#next;
  }

  /** Resolves when nothing is left that could be written. */
  async close(): Promise<void> {
    while (this.#next) await this.#next.catch(() => {});
    await this.#writing;
    await this.#file?.handle.close();
    this.#file = undefined;
  }

  #remember(entry: Entry): Buffer {
    const key = keyOf(entry);
    const line = Buffer.from(`${JSON.stringify(entry)}\n`);
    this.#live -= this.#lines.get(key)?.length ?? 0;
    this.#lines.delete(key);
    if (entry.state !== "forgotten") {
      this.#lines.set(key, line);
      this.#live += line.length;
    }
    return line;
  }

  #flush(): Promise<void> {
    const lines = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#next = undefined;
    const result = this.#append(lines);
    this.#writing = result.catch(() => {});
    return result;
  }

  async #append(lines: Buffer): Promise<void> {
    const file = this.#file;
    if (!file || file.length + lines.length - this.#live > TOLERATED) return this.#rewrite();
    try {
      await writeFully(file.handle, lines, file.length);
      await file.handle.datasync();
      file.length += lines.length;
    } catch (error) {
      // Of what was not written, nobody knows how much of it is there.
      this.#file = undefined;
      await file.handle.close();
      throw error;
    }
  }

  /** What still counts, in a new file in place of the old one. */
  async #rewrite(): Promise<void> {
    const old = this.#file;
    this.#file = undefined;
    await old?.handle.close();
    const draft = `${this.path}.new`;
    const lines = Buffer.concat([...this.#lines.values()]);
    const handle = await open(draft, "w", 0o600);
    try {
      await writeFully(handle, lines, 0);
      await handle.datasync();
      await rename(draft, this.path);
      await syncDirectory(dirname(this.path));
    } catch (error) {
      await handle.close();
      throw error;
    }
    this.#file = { handle, length: lines.length };
  }
}

async function readEntries(path: string): Promise<Entry[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return text.split("\n").flatMap((line) => readEntry(line) ?? []);
}

const CAUSES: readonly EndCause[] = [
  "succeeded",
  "failed",
  "timeout",
  "no space",
  "evicted",
  "cancelled",
];

/**
 * Undefined if that is no entry: whatever damages a file must not keep the worker from its work.
 */
function readEntry(line: string): Entry | undefined {
  try {
    const entry = JSON.parse(line) as Entry;
    const { attempt, book, job } = entry;
    if (typeof book !== "string" || !/^[0-9a-f]*$/.test(book)) return undefined;
    if (!Number.isSafeInteger(job) || !Number.isSafeInteger(attempt)) return undefined;
    if (entry.state === "running" || entry.state === "forgotten") return entry;
    if (entry.state !== "ended") return undefined;
    return CAUSES.includes(entry.ending.cause) && entry.log ? entry : undefined;
  } catch {
    return undefined;
  }
}
