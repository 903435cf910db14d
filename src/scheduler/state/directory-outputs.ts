/**
 * Files of jobs' results in a directory: one file for each attempt.
 *
 *     DIRECTORY/BOOK/17-2        of attempt 2 of job 17; complete, and on disk
 *     DIRECTORY/BOOK/17-2.part   as far as it has come
 *
 * BOOK tells these records from those of other schedulers, which may have the same directory. A
 * file that is being read when it goes is read to its end.
 */
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Permits, readAhead } from "../../async/index.js";
import { OpenFiles, syncDirectory } from "../../system/index.js";
import { IncomingOutputs } from "./incoming-outputs.js";
import { type Keeping, type Kept, KeptOutputs, outputKey, readOutputKey } from "./kept-outputs.js";
import type { Delivery, OutputStore } from "./output-store.js";

export interface DirectoryOutputsOptions extends Keeping {
  readonly directory: string;
  /** The records that the numbers are of. */
  readonly book: Uint8Array;
  onWarning(message: string): void;
}

/** How often it is looked for what has to go, in ms. */
const SWEEP_MS = 600_000;

/** How many parts are read at a time. */
const READS_AT_ONCE = 16;

/** After so long nobody goes on with a stream: workers come back within hours, or not at all. */
const FORSAKEN_MS = 7 * 86_400_000;

/**
 * How files are read from their worker: at a thousand kilometres that is 100 MB/s, and in memory 2
 * MiB for each job.
 */
const PACE = { part: 512 * 1024, ahead: 4 };

const PART = ".part";

/** The directory of files of these records, in that of all. */
export function outputsOfBook(directory: string, book: Uint8Array): string {
  return join(directory, Buffer.from(book).toString("hex"));
}

export class DirectoryOutputs implements OutputStore {
  readonly received = { direct: 0, relayed: 0 };
  private readonly kept: KeptOutputs;
  /** The last that was begun of each stream, until it is closed. */
  private readonly incoming = new Map<string, Promise<IncomingOutputs>>();
  private readonly reads = new Permits(READS_AT_ONCE);
  private readonly files = new OpenFiles();
  private sweeping: Promise<void> = Promise.resolve();
  private readonly timer: NodeJS.Timeout;
  private isExpected: ((job: number, attempt: number) => boolean) | undefined;

  private constructor(
    private readonly directory: string,
    private readonly options: DirectoryOutputsOptions,
  ) {
    this.kept = new KeptOutputs(options);
    this.timer = setInterval(() => this.sweepSoon(true), SWEEP_MS).unref();
  }

  /** Makes the directory if it does not exist. Rejects with the system's error. */
  static async open(options: DirectoryOutputsOptions): Promise<DirectoryOutputs> {
    const directory = outputsOfBook(options.directory, options.book);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const store = new DirectoryOutputs(directory, options);
    const found: Kept[] = [];
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      if (readPartName(name)) {
        const { mtimeMs } = await stat(path);
        if (Date.now() - mtimeMs > FORSAKEN_MS) await rm(path, { force: true });
        continue;
      }
      const id = readOutputKey(name);
      if (!id) continue;
      const { mtimeMs, size } = await stat(path);
      found.push({ ...id, size, since: mtimeMs / 1000 });
    }
    for (const one of found.sort((a, b) => a.since - b.since)) store.kept.add(one);
    store.sweepSoon();
    return store;
  }

  get localDirectory(): string {
    return this.directory;
  }

  get count(): number {
    return this.kept.count;
  }

  get bytes(): number {
    return this.kept.bytes;
  }

  size(job: number, attempt: number): number {
    return this.kept.size(job, attempt);
  }

  newest(job: number): number | undefined {
    return this.kept.newest(job);
  }

  read(job: number, attempt: number, start: number, limit: number) {
    return this.reads.run(() => this.readNow(job, attempt, start, limit));
  }

  private async readNow(
    job: number,
    attempt: number,
    start: number,
    limit: number,
  ): Promise<Uint8Array | undefined> {
    const size = this.kept.size(job, attempt);
    if (size === 0) return undefined;
    const length = Math.max(0, Math.min(limit, size - start));
    const data = Buffer.allocUnsafeSlow(length);
    try {
      const bytesRead = await this.files.read(this.path(job, attempt), data, start);
      return data.subarray(0, bytesRead);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  async link(): Promise<undefined> {
    return undefined;
  }

  async take(delivery: Delivery): Promise<void> {
    const { attempt, job, sha256, size } = delivery;
    if (this.size(job, attempt) === size) return;
    let opened: IncomingOutputs | undefined;
    await delivery.persist(async () => {
      opened = await this.receive(job, attempt);
    });
    if (!opened) return;
    const incoming = opened;
    try {
      const read = (start: number, limit: number) => delivery.read(start, limit);
      for await (const data of readAhead(read, incoming.length, size, PACE)) {
        let done = 0;
        await delivery.persist(async () => {
          const before = incoming.length;
          try {
            await incoming.append(data.subarray(done));
          } finally {
            done += incoming.length - before;
          }
        });
        this.received.relayed += done;
        if (!delivery.isWanted()) return;
      }
      await delivery.persist(() => incoming.keep(sha256));
    } finally {
      await incoming.close();
    }
  }

  async drop(job: number, attempt: number): Promise<void> {
    const opened = this.incoming.get(outputKey(job, attempt));
    const incoming = await opened?.catch(() => undefined);
    await incoming?.close().catch(() => {});
    await rm(this.path(job, attempt) + PART, { force: true });
  }

  expect(isExpected: (job: number, attempt: number) => boolean): void {
    this.isExpected = isExpected;
    this.sweepSoon(true);
  }

  /**
   * Goes on with the stream of an attempt, or begins it; whoever has it gets it closed. To be
   * closed by the caller. Rejects with the system's error.
   */
  async receive(job: number, attempt: number): Promise<IncomingOutputs> {
    const name = outputKey(job, attempt);
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
    const path = this.path(job, attempt);
    return IncomingOutputs.open({ path, part: path + PART }, async (size) => {
      await syncDirectory(this.directory);
      this.kept.add({ job, attempt, size, since: Date.now() / 1000 });
      this.sweepSoon();
    });
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    this.files.close();
    await this.sweeping;
  }

  private path(job: number, attempt: number): string {
    return join(this.directory, outputKey(job, attempt));
  }

  /** @param isThorough also of what has come and is not expected any more, which costs a list */
  private sweepSoon(isThorough = false): void {
    this.sweeping = this.sweeping
      .then(() => this.sweep(isThorough))
      .catch((error) => this.options.onWarning(`Files of jobs cannot be removed: ${error}`));
  }

  private async sweep(isThorough: boolean): Promise<void> {
    for (let one = this.kept.takeExpired(); one; one = this.kept.takeExpired()) {
      await rm(this.path(one.job, one.attempt), { force: true });
    }
    if (!isThorough || !this.isExpected) return;
    for (const name of await readdir(this.directory)) {
      const part = readPartName(name);
      if (!part || this.incoming.has(outputKey(part.job, part.attempt))) continue;
      if (this.isExpected(part.job, part.attempt)) continue;
      await rm(join(this.directory, name), { force: true });
    }
  }
}

function readPartName(name: string): Pick<Kept, "job" | "attempt"> | undefined {
  return name.endsWith(PART) ? readOutputKey(name.slice(0, -PART.length)) : undefined;
}
