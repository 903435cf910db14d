/**
 * The files of jobs' results, as their clients may still ask for them: one file for each attempt,
 * with the stream that its worker has made of them (docs/protocol.md), of which nothing is looked
 * at here.
 *
 *     DIRECTORY/BOOK/17-2        of attempt 2 of job 17; complete, and on disk
 *     DIRECTORY/BOOK/17-2.part   as far as it has come
 *
 * BOOK tells these records from those of other schedulers, which may have the same directory: so
 * what comes late, or from elsewhere, overwrites nothing. What is too old goes, and so does the
 * oldest when all together are too large. A file that is being read when it goes is read to its
 * end.
 *
 * A stream on its way is *begun*, with what was there of it already; *grows*; and is *kept*, once
 * its hash is right, or *dropped*. It is *closed* by whom it is for, or when somebody else goes on
 * with it: from then on it does nothing to its file.
 */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { deferred, Mutex } from "../../async/index.js";
import { syncDirectory } from "../../system/index.js";

/** What was sent is not what its worker had, or is not there any more. */
export class OutputsDamaged extends Error {
  override readonly name = "OutputsDamaged";
}

export interface OutputStoreOptions {
  readonly directory: string;
  /** The records that the numbers are of. */
  readonly book: Uint8Array;
  /** How long files are kept, in seconds, and how many bytes all may have together. */
  readonly keepAge: number;
  readonly keepSize: number;
  onWarning(message: string): void;
}

interface Kept {
  readonly job: number;
  readonly attempt: number;
  readonly size: number;
  /** In Unix seconds. */
  readonly since: number;
}

/** How often it is looked for what is too old, in ms. */
const SWEEP_MS = 600_000;

/** How many parts are read at a time. */
const READS_AT_ONCE = 16;

/** Bytes read at a time of what is there already. */
const CHUNK = 1024 * 1024;

/** After so long nobody goes on with a stream: workers come back within hours, or not at all. */
const FORSAKEN_MS = 7 * 86_400_000;

const NAME = /^(\d{1,15})-(\d{1,10})(\.part)?$/;

export class OutputStore {
  /** By `key`, the oldest first. */
  private readonly kept = new Map<string, Kept>();
  /** The attempts of each job of which files are kept. */
  private readonly attempts = new Map<number, Set<number>>();
  /** The last that was begun of each stream, until it is closed. */
  private readonly incoming = new Map<string, Promise<IncomingOutputs>>();
  private total = 0;
  /** The last read of each lane; they take turns. */
  private readonly lanes: Promise<unknown>[] = [];
  private reads = 0;
  private sweeping: Promise<void> = Promise.resolve();
  private readonly timer: NodeJS.Timeout;

  private constructor(
    private readonly directory: string,
    private readonly options: OutputStoreOptions,
  ) {
    this.timer = setInterval(() => this.sweepSoon(), SWEEP_MS).unref();
  }

  /** Makes the directory if it does not exist. Rejects with the system's error. */
  static async open(options: OutputStoreOptions): Promise<OutputStore> {
    const directory = join(options.directory, Buffer.from(options.book).toString("hex"));
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const store = new OutputStore(directory, options);
    const found: Kept[] = [];
    for (const name of await readdir(directory)) {
      const [, job, attempt, part] = NAME.exec(name) ?? [];
      if (job === undefined) continue;
      const path = join(directory, name);
      const { mtimeMs, size } = await stat(path);
      if (part !== undefined) {
        if (Date.now() - mtimeMs > FORSAKEN_MS) await rm(path, { force: true });
        continue;
      }
      found.push({ job: Number(job), attempt: Number(attempt), size, since: mtimeMs / 1000 });
    }
    for (const one of found.sort((a, b) => a.since - b.since)) store.add(one);
    store.sweepSoon();
    return store;
  }

  /** Bytes of the stream of an attempt; 0 if none is kept. */
  size(job: number, attempt: number): number {
    return this.kept.get(key(job, attempt))?.size ?? 0;
  }

  /** The newest attempt of a job of which files are kept; undefined if there is none. */
  newest(job: number): number | undefined {
    const attempts = this.attempts.get(job);
    return attempts && Math.max(...attempts);
  }

  /**
   * A part of a stream, not longer than `limit`; empty at its end. Undefined if it is not kept (any
   * more). However many are asked for at a time, a few are read, as each takes memory.
   */
  read(
    job: number,
    attempt: number,
    start: number,
    limit: number,
  ): Promise<Uint8Array | undefined> {
    const lane = this.reads++ % READS_AT_ONCE;
    const before = this.lanes[lane] ?? Promise.resolve();
    const data = before.then(() => this.readNow(job, attempt, start, limit));
    this.lanes[lane] = data.catch(() => {});
    return data;
  }

  private async readNow(
    job: number,
    attempt: number,
    start: number,
    limit: number,
  ): Promise<Uint8Array | undefined> {
    const one = this.kept.get(key(job, attempt));
    if (!one) return undefined;
    const length = Math.max(0, Math.min(limit, one.size - start));
    const data = Buffer.allocUnsafeSlow(length);
    let file: FileHandle;
    try {
      file = await open(this.path(job, attempt), "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    try {
      const { bytesRead } = await file.read(data, 0, length, start);
      return data.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  /**
   * Goes on with the stream of an attempt, or begins it; whoever has it gets it closed. To be
   * closed by the caller. Rejects with the system's error.
   */
  async receive(job: number, attempt: number): Promise<IncomingOutputs> {
    const name = key(job, attempt);
    const earlier = this.incoming.get(name);
    const opened = this.openIncoming(job, attempt, earlier);
    this.incoming.set(name, opened);
    const forget = () => {
      if (this.incoming.get(name) === opened) this.incoming.delete(name);
    };
    opened
      .then(
        (incoming) => incoming.closed,
        () => {},
      )
      .then(forget);
    return opened;
  }

  private async openIncoming(
    job: number,
    attempt: number,
    earlier: Promise<IncomingOutputs> | undefined,
  ): Promise<IncomingOutputs> {
    const other = await earlier?.catch(() => undefined);
    // That it cannot be closed well is told to whom it is for.
    await other?.close().catch(() => {});
    return IncomingOutputs.open(this.path(job, attempt), async (size) => {
      await syncDirectory(this.directory);
      this.add({ job, attempt, size, since: Date.now() / 1000 });
      this.sweepSoon();
    });
  }

  /** Resolves when nothing is removed any more. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.sweeping;
  }

  private path(job: number, attempt: number): string {
    return join(this.directory, key(job, attempt));
  }

  private add(one: Kept): void {
    this.forget(one);
    this.kept.set(key(one.job, one.attempt), one);
    this.total += one.size;
    const attempts = this.attempts.get(one.job) ?? new Set();
    this.attempts.set(one.job, attempts.add(one.attempt));
  }

  private forget({ attempt, job }: Pick<Kept, "job" | "attempt">): void {
    const one = this.kept.get(key(job, attempt));
    if (!one) return;
    this.kept.delete(key(job, attempt));
    this.total -= one.size;
    const attempts = this.attempts.get(job)!;
    attempts.delete(attempt);
    if (attempts.size === 0) this.attempts.delete(job);
  }

  private sweepSoon(): void {
    this.sweeping = this.sweeping
      .then(() => this.sweep())
      .catch((error) => this.options.onWarning(`Files of jobs cannot be removed: ${error}`));
  }

  private async sweep(): Promise<void> {
    const { keepAge, keepSize } = this.options;
    for (const one of this.kept.values()) {
      const isOld = Date.now() / 1000 - one.since > keepAge;
      if (!isOld && this.total <= keepSize) return;
      this.forget(one);
      await rm(this.path(one.job, one.attempt), { force: true });
    }
  }
}

/** A stream on its way. */
export class IncomingOutputs {
  private readonly end = deferred();
  private closing: Promise<void> | undefined;
  private readonly mutex = new Mutex();
  private isInPlace = false;

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly hash: Hash,
    private written: number,
    private readonly onKept: (size: number) => Promise<void>,
  ) {}

  static async open(
    path: string,
    onKept: (size: number) => Promise<void>,
  ): Promise<IncomingOutputs> {
    const file = await open(partOf(path), "a+", 0o600);
    try {
      const hash = createHash("sha256");
      const buffer = Buffer.allocUnsafeSlow(CHUNK);
      let length = 0;
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, CHUNK, length);
        if (bytesRead === 0) return new IncomingOutputs(path, file, hash, length, onKept);
        hash.update(buffer.subarray(0, bytesRead));
        length += bytesRead;
      }
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Resolves when it is closed. */
  get closed(): Promise<void> {
    return this.end.promise;
  }

  /** Bytes that are there. */
  get length(): number {
    return this.written;
  }

  /**
   * Adds to it. Rejects with the system's error, and has then added nothing or a part: `length`
   * says how much.
   */
  append(data: Uint8Array): Promise<void> {
    return this.inTurn(async () => {
      for (let done = 0; done < data.length; ) {
        const { bytesWritten } = await this.file.write(data, done, data.length - done);
        this.hash.update(data.subarray(done, done + bytesWritten));
        done += bytesWritten;
        this.written += bytesWritten;
      }
    });
  }

  /**
   * Keeps it, on disk, if that is its hash. Rejects with `OutputsDamaged` if not, which drops it,
   * or if somebody has removed it; or with the system's error, and may be called again then.
   */
  keep(sha256: Uint8Array): Promise<void> {
    return this.inTurn(async () => {
      if (!this.hash.copy().digest().equals(sha256)) {
        await rm(partOf(this.path), { force: true });
        throw new OutputsDamaged("what came of its files is not what its worker had");
      }
      if (!this.isInPlace) await this.putInPlace();
      await this.onKept(this.written);
    });
  }

  private async putInPlace(): Promise<void> {
    await this.file.sync();
    try {
      await rename(partOf(this.path), this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new OutputsDamaged("what came of its files was removed meanwhile", { cause: error });
    }
    this.isInPlace = true;
  }

  /** Nobody wants it. */
  async drop(): Promise<void> {
    if (this.closing) return;
    await this.inTurn(() => rm(partOf(this.path), { force: true }));
  }

  /** After what is being done to it; more is not. */
  close(): Promise<void> {
    this.closing ??= this.mutex.run(() => this.file.close()).finally(this.end.resolve);
    return this.closing;
  }

  /** Rejects if it is closed. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    if (this.closing) return Promise.reject(new Error("Somebody else goes on with these files"));
    return this.mutex.run(work);
  }
}

function key(job: number, attempt: number): string {
  return `${job}-${attempt}`;
}

function partOf(path: string): string {
  return `${path}.part`;
}
