/**
 * What the scheduler and the threads that hold `jobs.db` say to each other. All of it is plain
 * data.
 */
import type { JobRecords } from "../../api/index.js";
import type { BatchQueries } from "./batch-tables.js";
import type { ClientUse } from "./client-use.js";
import type { PackedRuns } from "./ended-runs.js";
import type { AttemptRow, JobRow, Row } from "./jobs-schema.js";
import type { PackedJobs } from "./packed-jobs.js";

/**
 * A piece of a log: bytes `start` to `start + length` of it are in the segment from `position` on.
 */
export interface LogPiece {
  readonly job: number;
  readonly attempt: number;
  readonly start: number;
  readonly length: number;
  readonly segment: number;
  readonly position: number;
}

/** Changes that are kept together or not at all. */
export interface Changes {
  readonly jobs: readonly Row[];
  readonly attempts: readonly Row[];
  readonly descriptions: readonly (readonly [job: number, bytes: Uint8Array])[];
  readonly erased: readonly number[];
  readonly pieces: readonly LogPiece[];
  /** Attached jobs that are new, and have ended. */
  readonly ended: PackedRuns;
  /** The highest id that was given out. */
  readonly lastId: number;
}

/** Which jobs to list; what is undefined does not matter. States are numbers of `STATES`. */
export interface PageQuery {
  readonly states?: readonly number[] | undefined;
  readonly pool?: string | undefined;
  readonly client?: string | undefined;
  readonly worker?: string | undefined;
  readonly hint?: string | undefined;
  readonly name?: string | undefined;
  readonly key?: string | undefined;
  readonly batch?: number | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** Only jobs with lower ids. */
  readonly before?: number | undefined;
  readonly limit: number;
}

export interface JobWithAttempts {
  readonly job: JobRow;
  readonly attempts: readonly AttemptRow[];
}

export interface Page {
  readonly jobs: readonly JobWithAttempts[];
  /** The id to go on before; null: there are no more. */
  readonly before: number | null;
}

/** What one client had of the cluster in some time, as it is told to those who ask. */
export type Usage = JobRecords.ClientUsage;

/** How long an attempt ran. */
export interface Duration {
  readonly pool: string;
  readonly client: string;
  readonly hint: string;
  /** See `AttemptRecord`; 1 or 0. */
  readonly cached: number;
  readonly seconds: number;
}

/** What a job was built from that has ended, when that was, and whose it is. */
export interface RetriableContext {
  readonly client: string;
  readonly context: string;
  readonly ended: number;
}

/** A job that had not ended, with the size of its description in bytes; null: there is none. */
export type UnfinishedRow = JobRow & { readonly size: number | null };

/** Jobs that had not ended, a part of them. */
export interface Unfinished {
  readonly jobs: readonly UnfinishedRow[];
  /** Those of `jobs` that go on. */
  readonly attempts: readonly AttemptRow[];
  /** Jobs of which there is little to say. */
  readonly packed: PackedJobs;
  /** The id to go on after; null: that was all. */
  readonly after: number | null;
}

/**
 * What can be asked of a thread: names and forms of `JobsDatabase`'s methods, and of those of its
 * batches.
 */
export interface Queries extends JobsQueries, BatchQueries {}

export interface JobsQueries {
  /** Returns what those clients have now that this is about. */
  commit(changes: Changes): readonly ClientUse[];
  /** Of all clients. */
  clientUses(): readonly ClientUse[];
  description(job: number): Uint8Array | null;
  /** Of those that there are; in words why one cannot be read. */
  manyDescriptions(
    jobs: readonly number[],
  ): readonly (readonly [job: number, bytes: Uint8Array | string])[];
  /** In bytes; 0 if there is none. */
  descriptionSize(job: number): number;
  page(query: PageQuery): Page;
  job(id: number): JobWithAttempts | null;
  keyed(client: string, key: string): number | null;
  ends(ids: readonly number[]): readonly (readonly [id: number, client: string, state: number])[];
  /** Durable jobs in a state that is no end, in the order of their ids. */
  unfinished(state: number, after: number, limit: number): Unfinished;
  attachedRunning(): readonly JobWithAttempts[];
  /** Jobs of a batch that have ended, in the order of their ends, from behind that one on. */
  endedInBatch(batch: number, after: number, limit: number): readonly JobWithAttempts[];
  usage(since: number, until: number): readonly Usage[];
  /** Of the attempts that came to an end of their own, the last so many, the newest first. */
  durations(limit: number): readonly Duration[];
  /** Of jobs that ended after that moment, and have their descriptions. */
  retriableContexts(since: number): readonly RetriableContext[];
  pieces(job: number, attempt: number, start: number, limit: number): readonly LogPiece[];
  /** Removes some of the records that ended before; returns whether there are more. */
  removeBefore(ended: number): boolean;
  eraseDescriptionsBefore(ended: number): boolean;
  segmentSizes(): readonly (readonly [segment: number, bytes: number])[];
  segmentPieces(segment: number): readonly (LogPiece & { readonly ended: boolean })[];
  dropLogs(logs: readonly (readonly [job: number, attempt: number])[]): void;
  movePieces(pieces: readonly LogPiece[], from: number): void;
}

/** A question to a thread; answered in order. */
export interface Request {
  readonly id: number;
  readonly method: keyof Queries;
  readonly args: readonly unknown[];
}

/** `code`: SQLite's, of what failed. */
export interface Failure {
  readonly message: string;
  readonly code: string | undefined;
}

export type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: Failure };

/** What a thread starts with. The first one that opens the database makes and migrates it. */
export interface ThreadData {
  readonly path: string;
  /** 32 bytes, for descriptions. */
  readonly key: Uint8Array;
  readonly readonly: boolean;
}

/** The first that a thread says. */
export type Hello =
  | { readonly book: Uint8Array; readonly lastId: number }
  | { readonly failure: Failure };
