/**
 * Where the files of jobs' results are kept, as their clients may still ask for them: a stream for
 * each attempt, which its worker has made (docs/protocol.md), and of which nothing is looked at
 * here.
 *
 * Two kinds keep them: a directory (`directory-outputs.ts`) and an object store
 * (`bucket-outputs.ts`). In both, a stream's name has the records, the job and the attempt in it,
 * so that what comes late or from elsewhere overwrites nothing.
 */

import type { OutputLinks, OutputUpload } from "../../api/index.js";

/** What was sent is not what its worker had, or is not there any more. */
export class OutputsDamaged extends Error {
  override readonly name = "OutputsDamaged";
}

/** A stream that a worker has, and that is to be kept. */
export interface Delivery {
  readonly job: number;
  readonly attempt: number;
  readonly size: number;
  readonly sha256: Uint8Array;
  /** The name of its worker. */
  readonly worker: string;
  /** A part of it from its worker, `limit` bytes at most. Rejects with an `RpcError`. */
  read(start: number, limit: number): Promise<Uint8Array>;
  /** Has its worker put a part of it to a URL. Rejects with an `RpcError`. */
  put(url: string, start: number, length: number): Promise<OutputUpload.PutAnswer>;
  /** Whether anybody wants it (still). */
  isWanted(): boolean;
  /**
   * Does something to what is kept until it works, or nobody wants it any more. Rejects with
   * `OutputsDamaged` and an `RpcError`, which are not for trying again.
   */
  persist(write: () => Promise<void>): Promise<void>;
}

/** What has come, by which way: put there by workers, or through the scheduler. */
export interface OutputCounters {
  direct: number;
  relayed: number;
}

export interface OutputStore {
  /** Where the streams are on this machine, by their names; undefined: they are elsewhere. */
  readonly localDirectory?: string | undefined;
  /** Of how many attempts streams are kept, and the bytes of all. */
  readonly count: number;
  readonly bytes: number;
  /** Bytes that have come since the start. */
  readonly received: OutputCounters;
  /** Bytes of the stream of an attempt; 0 if none is kept. */
  size(job: number, attempt: number): number;
  /** The newest attempt of a job of which files are kept; undefined if there is none. */
  newest(job: number): number | undefined;
  /**
   * A part of a stream, not longer than `limit`; empty at its end. Undefined if it is not kept (any
   * more). However many are asked for at a time, a few are read, as each takes memory.
   */
  read(job: number, attempt: number, start: number, limit: number): Promise<Uint8Array | undefined>;
  /** A URL by which it can be read elsewhere, for so many seconds; undefined if there is none. */
  link(job: number, attempt: number): Promise<OutputLinks.OutputLink | undefined>;
  /**
   * Has a stream kept; one that was there in part goes on. Resolves when it is, or when nobody
   * wants it any more. Rejects with `OutputsDamaged`, and with what `delivery` rejects with.
   */
  take(delivery: Delivery): Promise<void>;
  /** Removes what has come of a stream that is not kept. Rejects with the store's error. */
  drop(job: number, attempt: number): Promise<void>;
  /** From now on what has come of streams that are not expected is removed in time. */
  expect(isExpected: (job: number, attempt: number) => boolean): void;
  /** Resolves when nothing is removed any more. */
  close(): Promise<void>;
}
