/**
 * What clients may cost the scheduler. The defaults are beyond what an honest client does; they
 * keep a greedy or broken one from taking all the memory. Who goes over one is told so, with the
 * limit, as "overloaded".
 */
import { RpcError } from "../../rpc/errors.js";
import { quoted, writeSize } from "../../text/index.js";
import type { ClientUse } from "../state/client-use.js";
import type { MemoryRelease } from "./memory-release.js";

export interface ClientLimits {
  /** Jobs that a client may have queued, in all pools together. */
  readonly queuedJobs: number;
  /** Bytes that the descriptions of its queued jobs may have together. */
  readonly queuedBytes: number;
  /** Bytes that one job's description may have, secrets and all. */
  readonly jobBytes: number;
  /**
   * Bytes that its records may have on disk, of attached jobs, too, with descriptions and rows of
   * batches that are kept.
   */
  readonly recordBytes: number;
  /** Bytes that are kept of its durable jobs' logs, before they are packed. */
  readonly logBytes: number;
  /** Tickets that may be held through one connection: of queued, running and finished jobs. */
  readonly tickets: number;
  /** Bytes, mostly of logs, that may wait for all peers together that are slow to read them. */
  readonly relayTotalBytes: number;
}

const MIB = 1024 * 1024;

export const DEFAULT_CLIENT_LIMITS: ClientLimits = {
  // A million jobs is the most that anybody is known to have queued at once.
  queuedJobs: 1_500_000,
  queuedBytes: 2048 * MIB,
  // A Dockerfile or spec has some kilobytes; a secret can be a whole key ring.
  jobBytes: 16 * MIB,
  // More than a million jobs a day, for the time that records are kept.
  recordBytes: 32 * 1024 * MIB,
  // Packed, logs of builds fill what all logs have together by default.
  logBytes: 64 * 1024 * MIB,
  tickets: 1_500_000,
  // Four times what one connection may have waiting.
  relayTotalBytes: 1024 * MIB,
};

/**
 * Bytes that a cache hint may have: it is the name of something. The pools keep those of tens of
 * thousands of jobs in memory and in the database, long after the jobs.
 */
export const HINT_BYTES = 4096;

/** Throws an `RpcError` (overloaded) if a hint of this size is too long to be one. */
export function checkHint(bytes: number): void {
  if (bytes > HINT_BYTES) {
    throw overloaded(`The cache hint has ${bytes} bytes; the limit is ${HINT_BYTES}`);
  }
}

/**
 * Why (as "overloaded") a client that has so much on disk cannot have more; null if it can. `more`:
 * bytes of records that it is about to have.
 */
export function diskRefusal(
  { client, logs, records }: ClientUse,
  more: number,
  { logBytes, recordBytes }: Pick<ClientLimits, "logBytes" | "recordBytes">,
): RpcError | null {
  const who = `client ${quoted(client)}`;
  if (records + more > recordBytes) {
    return overloaded(
      `The records of ${who} have ${writeSize(records)}, and ${writeSize(recordBytes)} are allowed ` +
        `(--max-records-size). ${OLD_ONES_GO}`,
    );
  }
  if (logs >= logBytes) {
    return overloaded(
      `The logs of ${who} have ${writeSize(logs)}, and ${writeSize(logBytes)} are allowed (--max-logs-size). ${OLD_ONES_GO}`,
    );
  }
  return null;
}

const OLD_ONES_GO =
  "Old ones go with time (--keep-jobs, --keep-failed, --keep-logs of the scheduler); submit more then, or ask its operator for more";

/** What one client has queued at present. */
export class QueueAccount {
  private jobs = 0;
  private bytes = 0;

  constructor(
    readonly client: string,
    private readonly limits: ClientLimits,
  ) {}

  /** Nothing is queued. */
  get empty(): boolean {
    return this.jobs === 0;
  }

  /** Counts a job that is to be queued. Throws an `RpcError` (overloaded) if it is one too many. */
  enter(bytes: number): void {
    const { jobBytes, queuedBytes, queuedJobs } = this.limits;
    const who = `Client ${quoted(this.client)}`;
    if (bytes > jobBytes) {
      throw overloaded(`The job's description has ${bytes} bytes; the limit is ${jobBytes}`);
    }
    if (this.jobs >= queuedJobs) {
      throw overloaded(
        `${who} has ${this.jobs} jobs queued; the limit is ${queuedJobs}. Submit more when some have started`,
      );
    }
    if (this.bytes + bytes > queuedBytes) {
      throw overloaded(
        `The descriptions of the jobs that ${who} has queued have ${this.bytes} bytes; the limit is ${queuedBytes}. ` +
          "Submit more when some have started",
      );
    }
    this.jobs++;
    this.bytes += bytes;
  }

  /** The job is not queued any more. */
  leave(bytes: number): void {
    this.jobs--;
    this.bytes -= bytes;
  }
}

/** The tickets that are held through one connection. */
export class TicketAccount {
  private tickets = 0;

  /** `memory` counts those of all connections. */
  constructor(
    private readonly limits: ClientLimits,
    private readonly memory: MemoryRelease,
  ) {}

  /**
   * Counts a ticket that is to be given out. Throws an `RpcError` (overloaded) if it is one too
   * many.
   */
  enter(): void {
    const { tickets } = this.limits;
    if (this.tickets >= tickets) {
      throw overloaded(
        `This connection holds ${this.tickets} tickets; the limit is ${tickets}. Release those of finished jobs`,
      );
    }
    this.tickets++;
    this.memory.enter();
  }

  leave(): void {
    this.tickets--;
    this.memory.leave();
  }
}

function overloaded(reason: string): RpcError {
  return new RpcError("overloaded", reason);
}
