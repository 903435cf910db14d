/**
 * Files of jobs' results in an object store: an object for each attempt.
 *
 *     PREFIX/BOOK/17-2        of attempt 2 of job 17
 *
 * BOOK tells these records from those of other schedulers, which may have the same bucket and
 * prefix. How a stream gets there: `bucket-upload.ts`.
 */
import type { OutputLinks } from "../../api/index.js";
import {
  type Bucket,
  checkBucket,
  isGone,
  StoreUnusable,
  URL_SECONDS,
  unusable,
} from "../../artefacts/index.js";
import { TransferError } from "../../artefacts/transfer-error.js";
import { Permits } from "../../async/index.js";
import type { BucketIndex, OpenStream } from "./bucket-index.js";
import { BucketUpload } from "./bucket-upload.js";
import { type Keeping, type Kept, KeptOutputs, outputKey, readOutputKey } from "./kept-outputs.js";
import type { Delivery, OutputStore } from "./output-store.js";

export interface BucketOutputsOptions extends Keeping {
  readonly bucket: Bucket;
  readonly index: BucketIndex;
  /** The smallest part of an upload, in bytes; default: 16 MiB. */
  readonly part?: number | undefined;
  /** The records that the numbers are of. */
  readonly book: Uint8Array;
  onInfo(message: string): void;
  onWarning(message: string): void;
}

/** How often it is looked for what has to go, in ms. */
const SWEEP_MS = 600_000;

/** For so long, in ms, a worker that could not reach the store is not asked to. */
const UNREACHED_MS = 600_000;

/** How many parts are read, and how many relayed, at a time, each of which takes memory. */
const RELAYS_AT_ONCE = 8;

export class BucketOutputs implements OutputStore {
  readonly received = { direct: 0, relayed: 0 };
  private readonly kept: KeptOutputs;
  private readonly directory: string;
  private readonly reads = new Permits(RELAYS_AT_ONCE);
  private readonly relays = new Permits(RELAYS_AT_ONCE);
  /** Streams that somebody is having put there. */
  private readonly taking = new Set<string>();
  /** Rows whose objects are yet to be removed. */
  private readonly doomed = new Map<string, Kept | OpenStream>();
  /** Workers that could not reach the store, until when they are not asked to. */
  private readonly relayed = new Map<string, number>();
  private readonly timer: NodeJS.Timeout;
  private sweeping: Promise<void> = Promise.resolve();
  private isClosed = false;
  private isExpected: ((job: number, attempt: number) => boolean) | undefined;

  private constructor(private readonly options: BucketOutputsOptions) {
    this.kept = new KeptOutputs(options);
    this.directory = Buffer.from(options.book).toString("hex");
    this.timer = setInterval(() => this.sweepSoon(true), SWEEP_MS).unref();
    for (const one of options.index.kept()) this.kept.add(one);
  }

  /**
   * Looks whether the store can be used. One that is away may be back later, which is told; else
   * rejects with a `StoreUnusable`.
   */
  static async open(options: BucketOutputsOptions): Promise<BucketOutputs> {
    const store = new BucketOutputs(options);
    try {
      await checkBucket(options.bucket, store.directory);
    } catch (error) {
      if (!(error instanceof StoreUnusable && error.passes)) {
        await store.close();
        throw error;
      }
      options.onWarning(
        `${error.message} Files of jobs stay at their workers until it can be used`,
      );
    }
    store.sweepSoon();
    return store;
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
    if (length === 0) return new Uint8Array(0);
    try {
      return await this.options.bucket.read(this.key(job, attempt), start, length);
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error instanceof TransferError ? unusable(error, this.options.bucket) : error;
    }
  }

  async link(job: number, attempt: number): Promise<OutputLinks.OutputLink | undefined> {
    if (this.kept.size(job, attempt) === 0) return undefined;
    return {
      url: await this.options.bucket.readUrl(this.key(job, attempt)),
      seconds: URL_SECONDS,
    };
  }

  async take(delivery: Delivery): Promise<void> {
    const { attempt, job, size, worker } = delivery;
    if (this.size(job, attempt) === size) return;
    const name = outputKey(job, attempt);
    const { bucket, index, onInfo, part } = this.options;
    const upload = new BucketUpload({
      bucket,
      index,
      part,
      delivery,
      key: this.key(job, attempt),
      relays: this.relays,
      received: this.received,
      isRelayed: this.isUnreachedBy(worker),
      onRelayed: () => this.unreached(worker),
      onInfo,
    });
    this.taking.add(name);
    try {
      await delivery.persist(async () => {
        if (!(await upload.run())) return;
        const kept = { job, attempt, size, since: Date.now() / 1000 };
        index.keep(kept);
        this.kept.add(kept);
      });
    } finally {
      this.taking.delete(name);
    }
    this.sweepSoon();
  }

  async drop(job: number, attempt: number): Promise<void> {
    const open = this.options.index.find(job, attempt);
    if (open) await this.removeNow(open);
  }

  expect(isExpected: (job: number, attempt: number) => boolean): void {
    this.isExpected = isExpected;
    this.sweepSoon(true);
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    this.isClosed = true;
    this.options.bucket.close();
    await this.sweeping;
    this.options.index.close();
  }

  private isUnreachedBy(worker: string): boolean {
    return (this.relayed.get(worker) ?? 0) > performance.now();
  }

  private unreached(worker: string): void {
    for (const [name, until] of this.relayed) {
      if (until < performance.now()) this.relayed.delete(name);
    }
    this.relayed.set(worker, performance.now() + UNREACHED_MS);
  }

  private key(job: number, attempt: number): string {
    return `${this.directory}/${outputKey(job, attempt)}`;
  }

  /** @param isThorough also of what has come and is not expected any more, which costs a list */
  private sweepSoon(isThorough = false): void {
    this.sweeping = this.sweeping
      .then(() => this.sweep(isThorough))
      .catch((error) => {
        if (!this.isClosed) this.options.onWarning(`Files of jobs cannot be removed: ${error}`);
      });
  }

  private async sweep(isThorough: boolean): Promise<void> {
    for (let one = this.kept.takeExpired(); one; one = this.kept.takeExpired()) {
      this.doomed.set(outputKey(one.job, one.attempt), one);
    }
    if (isThorough && this.isExpected) await this.doomUnexpected(this.isExpected);
    let failure: { readonly error: unknown } | undefined;
    for (const [name, one] of this.doomed) {
      if (this.isClosed) return;
      try {
        await this.removeNow(one);
        this.doomed.delete(name);
      } catch (error) {
        // One that the store keeps, by a lock or a policy, is tried again with the next ones.
        failure ??= { error };
        if (!(error instanceof TransferError) || error.passes) break;
      }
    }
    if (failure) throw failure.error;
  }

  private async doomUnexpected(isExpected: NonNullable<typeof this.isExpected>): Promise<void> {
    const { bucket, index } = this.options;
    for (const one of index.open()) {
      const name = outputKey(one.job, one.attempt);
      if (!this.taking.has(name) && !isExpected(one.job, one.attempt)) this.doomed.set(name, one);
    }
    // The scheduler may have been killed before it had noted one.
    for (const { key, upload } of await bucket.openUploads(`${this.directory}/`)) {
      if (this.isClosed) return;
      const id = readOutputKey(key.slice(this.directory.length + 1));
      const isKnown = id && index.find(id.job, id.attempt)?.upload === upload;
      const isNew = id && this.taking.has(outputKey(id.job, id.attempt));
      if (!isKnown && !isNew) await bucket.abort(key, upload);
    }
  }

  /** Removes all that there may be of a stream, and then its row. */
  private async removeNow(one: Kept | OpenStream): Promise<void> {
    const { bucket, index } = this.options;
    const key = this.key(one.job, one.attempt);
    if ("upload" in one && one.upload !== "") await bucket.abort(key, one.upload);
    await bucket.remove(key);
    index.remove(one);
  }
}
