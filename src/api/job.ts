/**
 * A job that was given to a worker: its log, its result, and the way to stop it.
 *
 * The worker offers one with every request for work. Whoever submitted the job gets at it by its
 * ticket. A job that nobody refers to any more is cancelled by its worker.
 */
import { type Capability, type MethodEntry, method, serve, watched } from "../rpc/index.js";
import { type CallOptions, done, resultOf } from "./calls.js";
import { Job$Client } from "./generated/ocluster.js";

const [LOG, RESULT, CANCEL] = Job$Client.methods;

/**
 * The most bytes that one answer of `Job.log` holds: what the reference gives, and what clients
 * made for it expect. At this size a page costs a peer little memory, and still some 10,000 of them
 * a second would be needed to fill a fast link.
 */
export const LOG_PAGE = 10_240;

/** A part of a log. */
export interface LogChunk {
  /** The bytes from the offset that was asked for on. Empty: the log has ended. */
  readonly data: Uint8Array;
  /** The offset to ask for next, in bytes. */
  readonly next: number;
}

export interface JobService {
  /**
   * The log from offset `start` on, in bytes; a negative one counts from the end. Waits while there
   * is nothing new. The signal is aborted when the caller no longer wants the answer.
   */
  log(start: number, signal: AbortSignal): LogChunk | Promise<LogChunk>;
  /** The output, when the job has succeeded; fails when it has failed. */
  result(): Promise<string>;
  /** Asks the job to stop; need not wait until it has. */
  cancel(): void;
  /** Nobody refers to the job any more. */
  release?(): void;
}

/** `extensions`: methods of further interfaces that the object has. */
export function local(service: JobService, extensions: readonly MethodEntry[] = []): Capability {
  return serve(
    "Job",
    [
      method(LOG, async (call) => {
        const { data, next } = await service.log(Number(call.params.start), call.signal);
        const results = call.results();
        results._initLog(data.byteLength).copyBuffer(data);
        results.next = BigInt(next);
      }),
      method(RESULT, async (call) => {
        const output = await service.result();
        call.results().output = output;
      }),
      method(CANCEL, () => service.cancel()),
      ...extensions,
    ],
    { release: () => service.release?.() },
  );
}

/** See `JobService.log`. The data is a copy. */
export function log(job: Capability, start: number, options?: CallOptions): Promise<LogChunk> {
  const call = job.call(
    LOG,
    (params) => {
      params.start = BigInt(start);
    },
    options,
  );
  return resultOf(call, (results) => ({
    data: results.log.toUint8Array().slice(),
    next: Number(results.next),
  }));
}

/** See `JobService.result`. */
export function result(job: Capability, options?: CallOptions): Promise<string> {
  return resultOf(job.call(RESULT, undefined, options), ({ output }) => output);
}

/**
 * Takes `job`, and returns what is to be handed on instead of it: `onLog` is called when somebody
 * was given a part of its log.
 */
export function logWatched(job: Capability, onLog: () => void): Capability {
  return watched(job, LOG, onLog);
}

/** Asks the job to stop. */
export function cancel(job: Capability, options?: CallOptions): Promise<void> {
  return done(job.call(CANCEL, undefined, options));
}
