/**
 * The leases that a worker has by one connection: durable jobs that it was given many at a time,
 * and of which it says many ends in one call (docs/protocol.md).
 *
 * The states of a lease here:
 *
 * - *held*: it waits for room. It begins within `HOLD_MS`, or is given back: nobody else can have
 *   it meanwhile.
 * - *begun*: it runs, and the scheduler has not been told. If it is over within `SHORT_MS`, and
 *   there is little to tell: *ended*. Else the scheduler is given its `Job`: *followed*.
 * - *ended*: its end is kept, and told with those of others. When the scheduler has that on disk it
 *   is forgotten.
 * - *followed*: as a job that was given alone; nothing more is done about it here.
 *
 * When the connection is lost, what is held never was here; what has begun is told of by the next
 * one, as all that the worker has.
 */
import { type Batches, BulkQueue, type DurableQueue } from "../api/index.js";
import { logger } from "../console/index.js";
import { type Capability, type DetachedPointer, RpcError } from "../rpc/index.js";
import { Appetite } from "./appetite.js";
import type { Capacity } from "./capacity.js";

const log = logger("worker");

/** How long a lease waits for room, in ms. */
const HOLD_MS = 200;

/** How long one may run before the scheduler is told that it goes on, in ms. */
const SHORT_MS = 50;

/** Calls that tell ends, at a time: what ends meanwhile goes together. */
const CALLS = 2;

/** How long ends that were refused wait until they are told again, in ms. */
const RETRY_MS = 1000;

/** Bytes of logs in one of them. */
const CALL_BYTES = 1024 * 1024;

/** How a lease that has run has ended. */
export interface LeaseResult {
  readonly cause: BulkQueue.LeaseEnd["cause"];
  readonly output: string;
  readonly reason: string;
  readonly seconds: number;
  /** Null: there is more to tell than an end and a short log. */
  readonly log: Uint8Array | null;
}

/** A lease that runs. */
export interface LeaseRun {
  /** Resolves when its end is kept; never rejects. */
  readonly ended: Promise<LeaseResult>;
  /** Its `Job`, owned by the caller. */
  capability(): Capability;
  /** The scheduler has its end on disk. */
  settled(): void;
  /** The scheduler has given it up: stops and forgets it. */
  giveUp(): void;
}

export interface LeaseHolderOptions {
  readonly queue: Capability;
  readonly capacity: Capacity;
  /** Runs a job, and takes its share of the capacity, at once. Takes `descr`. */
  run(assignment: DurableQueue.DurableAssignment, client: string, descr: DetachedPointer): LeaseRun;
  readonly holdMs?: number;
  readonly shortMs?: number;
  readonly retryMs?: number;
}

interface Held {
  readonly lease: BulkQueue.Lease;
  readonly of: { readonly book: Uint8Array; readonly reattach: number };
  /** The template of a row, null if that cannot be read; undefined: there is none. */
  readonly batch: Batches.NewBatch | null | undefined;
  /** By when it has to begin, on the steady clock in ms. */
  readonly due: number;
}

interface Told {
  readonly end: BulkQueue.LeaseEnd;
  readonly run: LeaseRun | null;
}

export class LeaseHolder {
  readonly #held: Held[] = [];
  /** Those that have begun, and of which the scheduler does not know more. By job. */
  readonly #begun = new Map<number, LeaseRun | null>();
  readonly #ended: Told[] = [];
  /** Ends that were refused, and are to be told again. */
  readonly #refused: Told[] = [];
  /** By batch, the one used last at the end. Null: it cannot be read. */
  readonly #templates = new Map<number, Batches.NewBatch | null>();
  readonly #appetite = new Appetite(BulkQueue.MOST_LEASES);
  readonly #over = new AbortController();
  #calls = 0;
  #telling: NodeJS.Immediate | undefined;
  #retrying: NodeJS.Timeout | undefined;
  #giving: NodeJS.Timeout | undefined;
  #isWaiting = false;

  constructor(private readonly options: LeaseHolderOptions) {}

  /** Whether it is time to ask for jobs. */
  get isHungry(): boolean {
    const { ahead, room } = this.wish;
    return room > 0 || (ahead > 0 && ahead >= this.#held.length);
  }

  /** What to ask for. */
  get wish(): BulkQueue.LeaseWish {
    const { capacity } = this.options;
    const waiting = this.#held.length;
    const room = Math.max(0, capacity.total - capacity.inUse - waiting);
    const ahead = Math.max(0, this.#appetite.ahead(capacity.total) - waiting);
    return { room, ahead, templates: [...this.#templates.keys()] };
  }

  /** Resolves when it is time to ask for jobs. Throws `signal`'s reason when that is aborted. */
  async whenHungry(signal: AbortSignal): Promise<void> {
    while (!this.isHungry) await this.options.capacity.changed.wait(signal);
  }

  /** What was asked for. */
  accept({ book, leases, reattach, templates }: BulkQueue.Taken & { kind: "leases" }): void {
    for (const template of templates) this.#learn(template);
    const due = performance.now() + (this.options.holdMs ?? HOLD_MS);
    for (const lease of leases) {
      const { content } = lease;
      const batch = "batch" in content ? this.#use(content.batch) : undefined;
      this.#held.push({ lease, of: { book, reattach }, batch, due });
    }
    // Not before: one answer may have rows of more batches than are kept.
    this.#forgetTemplates();
    this.#fill();
    this.#watch();
  }

  /**
   * No more jobs are asked for: gives back what has not begun, and what may be on its way. Rejects
   * with an `RpcError`.
   */
  async drain(): Promise<void> {
    this.#held.length = 0;
    await BulkQueue.keep(this.options.queue, [...this.#begun.keys()]);
  }

  /** The connection is lost, or over. */
  close(): void {
    this.#over.abort();
    this.#held.length = 0;
    clearTimeout(this.#giving);
    clearTimeout(this.#retrying);
    clearImmediate(this.#telling);
  }

  #learn(template: BulkQueue.LeaseTemplate): void {
    try {
      this.#templates.set(template.batch, BulkQueue.unpackTemplate(template));
    } catch (error) {
      log.warn(`The template of batch ${template.batch} cannot be read: ${error}`);
      this.#templates.set(template.batch, null);
    }
  }

  #forgetTemplates(): void {
    for (const oldest of this.#templates.keys()) {
      if (this.#templates.size <= BulkQueue.MOST_TEMPLATES) return;
      this.#templates.delete(oldest);
    }
  }

  #use(batch: number): Batches.NewBatch | null | undefined {
    const template = this.#templates.get(batch);
    if (template === undefined) return undefined;
    this.#templates.delete(batch);
    this.#templates.set(batch, template);
    return template;
  }

  /** Begins what there is room for. */
  #fill(): void {
    const { capacity } = this.options;
    while (this.#held.length > 0 && !capacity.full) this.#begin(this.#held.shift()!);
    capacity.changed.notify();
    if (this.#held.length === 0 || this.#isWaiting) return;
    this.#isWaiting = true;
    capacity.whenFree(this.#over.signal).then(
      () => {
        this.#isWaiting = false;
        this.#fill();
      },
      () => {}, // It is over.
    );
  }

  #begin(held: Held): void {
    const { lease, of } = held;
    const { attempt, client, job, outputLimit, outputs, timeout } = lease;
    if ("batch" in lease.content && held.batch === undefined) {
      // It was forgotten while the answer was on its way, and is not said to be here any more.
      this.#tell({ ...NOT_BEGUN, job, attempt, cause: "evicted", reason: NO_TEMPLATE }, null);
      return;
    }
    let descr: DetachedPointer;
    try {
      descr = BulkQueue.describe(lease.content, held.batch ?? null);
    } catch (error) {
      const reason = `Its description cannot be made: ${(error as Error).message}`;
      this.#tell({ ...NOT_BEGUN, job, attempt, cause: "failed", reason }, null);
      return;
    }
    const assignment = { job, attempt, timeout, ...of, outputs, outputLimit: outputLimit ?? 0 };
    const run = this.options.run(assignment, client, descr);
    this.#begun.set(job, run);
    let isFollowed = false;
    const follow = () => {
      isFollowed = true;
      void this.#follow(lease, run);
    };
    const isLong = setTimeout(() => {
      this.#appetite.spoil();
      follow();
    }, this.options.shortMs ?? SHORT_MS);
    void run.ended.then(({ log: text, ...end }) => {
      clearTimeout(isLong);
      if (this.#over.signal.aborted) return;
      if (!isFollowed) {
        this.#appetite.ended(end.seconds * 1000);
        if (text) this.#tell({ ...end, job, attempt, begun: true, log: text }, run);
        else follow();
      }
      // What is wrong with the worker is wrong for those that it holds, too.
      if (end.cause === "no space" || end.cause === "evicted") this.#giveBack(() => true);
      this.#fill();
    });
  }

  /** Has the scheduler follow it from now on. If it cannot be told, the next one is. */
  async #follow(lease: BulkQueue.LeaseId, run: LeaseRun): Promise<void> {
    if (this.#over.signal.aborted) return;
    this.#begun.delete(lease.job);
    try {
      const verdict = await BulkQueue.begun(this.options.queue, lease, run.capability());
      if (verdict === "stop") run.giveUp();
    } catch (error) {
      const { kind, message } = RpcError.from(error);
      if (kind !== "disconnected") log.warn(`Job ${lease.job} cannot be followed: ${message}`);
    }
  }

  #tell(end: BulkQueue.LeaseEnd, run: LeaseRun | null): void {
    this.#begun.set(end.job, run);
    this.#ended.push({ end, run });
    this.#tellSoon();
  }

  /** What ends in one turn goes together, and what ends while others are told. */
  #tellSoon(): void {
    if (this.#telling || this.#ended.length === 0 || this.#calls >= CALLS) return;
    this.#telling = setImmediate(() => {
      this.#telling = undefined;
      void this.#tellNow();
    });
  }

  async #tellNow(): Promise<void> {
    const told: Told[] = [];
    for (let bytes = 0; this.#ended.length > 0 && told.length < BulkQueue.MOST_LEASES; ) {
      bytes += this.#ended[0]!.end.log.length;
      if (bytes > CALL_BYTES && told.length > 0) break;
      told.push(this.#ended.shift()!);
    }
    this.#calls++;
    try {
      const ends = told.map(({ end }) => end);
      const unwanted = await BulkQueue.ended(this.options.queue, ends);
      for (const { end, run } of told) {
        this.#begun.delete(end.job);
        run?.settled();
      }
      if (unwanted.length > 0) this.#giveBack(({ lease }) => unwanted.includes(lease.job));
    } catch (error) {
      if (RpcError.from(error).kind === "disconnected" || this.#over.signal.aborted) return;
      log.warn(`${told.length} ends of jobs cannot be told together: ${(error as Error).message}`);
      for (const { end, run } of told) if (run) void this.#follow(end, run);
      this.#tellAgain(told.filter(({ run }) => run === null));
    } finally {
      this.#calls--;
      if (!this.#over.signal.aborted) this.#tellSoon();
    }
  }

  /** What has not begun has no `Job` to be followed by: its end is all there is to say of it. */
  #tellAgain(told: readonly Told[]): void {
    if (told.length === 0 || this.#over.signal.aborted) return;
    this.#refused.push(...told);
    this.#retrying ??= setTimeout(() => {
      this.#retrying = undefined;
      this.#ended.push(...this.#refused.splice(0));
      this.#tellSoon();
    }, this.options.retryMs ?? RETRY_MS);
  }

  #giveBack(isGiven: (held: Held) => boolean): void {
    const given = this.#held.filter(isGiven);
    if (given.length === 0) return;
    const kept = this.#held.filter((held) => !isGiven(held));
    this.#held.splice(0, this.#held.length, ...kept);
    for (const { lease } of given) {
      const { attempt, job } = lease;
      this.#tell({ ...NOT_BEGUN, job, attempt, cause: "evicted", reason: GIVEN_BACK }, null);
    }
    this.options.capacity.changed.notify();
  }

  /** Sees to it that nothing is held for too long. */
  #watch(): void {
    const first = this.#held[0];
    if (!first || this.#giving) return;
    this.#giving = setTimeout(() => {
      this.#giving = undefined;
      const now = performance.now();
      if ((this.#held[0]?.due ?? now + 1) <= now) {
        this.#appetite.spoil();
        this.#giveBack(({ due }) => due <= now);
      }
      this.#watch();
    }, first.due - performance.now());
  }
}

const NOT_BEGUN = {
  begun: false,
  seconds: 0,
  output: "",
  log: new Uint8Array(0),
} as const;

const NO_TEMPLATE = "Its worker did not have its batch's template any more.";

const GIVEN_BACK = "Its worker had others to finish first.";
