/**
 * An attempt at a durable job, as its worker offers it to the scheduler beyond `Job`. Workers that
 * do not know durable jobs answer "unimplemented": of theirs there is `Job.result` alone.
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, done, resultOf } from "./calls.js";
import { DurableJob$Client } from "./generated/extensions.js";
import { type Cause, causeFromWire, causeToWire } from "./job-cause.js";

const [BEGUN, OUTCOME, SETTLED, READ_OUTPUTS] = DurableJob$Client.methods;

/** How an attempt ended. */
export interface AttemptOutcome {
  readonly cause: Cause;
  /** Of one that has succeeded. */
  readonly output: string;
  /** For people; "" if there is nothing to say. */
  readonly reason: string;
  /** Bytes of the whole log. */
  readonly logSize: number;
  /** The stream of the files that are to be kept of its result, if there are any. */
  readonly outputs?: OutputStream | undefined;
}

/** A stream of files, which `readOutputs` reads; docs/protocol.md has its form. */
export interface OutputStream {
  /** Bytes; more than 0. */
  readonly size: number;
  readonly sha256: Uint8Array;
}

export interface DurableJobService {
  /** Resolves when the attempt is on the worker's disk, and runs. */
  begun(): Promise<void>;
  /** Resolves when it has ended. */
  outcome(): Promise<AttemptOutcome>;
  /** The scheduler has log, files and outcome on disk. */
  settled(): void | Promise<void>;
  /** A part of the stream, `limit` bytes at most. Empty: it ends there. */
  readOutputs?(start: number, limit: number): Promise<Uint8Array>;
}

/** The methods of a worker's `Job` that make it a `DurableJob`, too. */
export function durableJobMethods(service: DurableJobService): MethodEntry[] {
  return [
    method(BEGUN, () => service.begun()),
    method(OUTCOME, async (call) => {
      const { cause, logSize, output, outputs, reason } = await service.outcome();
      const results = call.results();
      results.cause = causeToWire(cause);
      results.output = output;
      results.reason = reason;
      results.logSize = BigInt(logSize);
      if (!outputs) return;
      results.outputSize = BigInt(outputs.size);
      results._initOutputHash(outputs.sha256.length).copyBuffer(outputs.sha256);
    }),
    method(SETTLED, () => service.settled()),
    method(READ_OUTPUTS, async (call) => {
      const { limit, start } = call.params;
      const data = (await service.readOutputs?.(Number(start), limit)) ?? new Uint8Array(0);
      call.results()._initData(data.byteLength).copyBuffer(data);
    }),
  ];
}

/** Resolves when the attempt is on the worker's disk, and runs. */
export function begun(job: Capability, options?: CallOptions): Promise<void> {
  return done(job.call(BEGUN, undefined, options));
}

/** Resolves when the attempt has ended. */
export function outcome(job: Capability, options?: CallOptions): Promise<AttemptOutcome> {
  return resultOf(job.call(OUTCOME, undefined, options), (results) => ({
    // A cause that a later version may add is none of the worker's own troubles.
    cause: causeFromWire(results.cause) ?? "failed",
    output: results.output,
    reason: results.reason,
    logSize: Number(results.logSize),
    outputs:
      results.outputSize === 0n
        ? undefined
        : {
            size: Number(results.outputSize),
            sha256: results.outputHash.toUint8Array().slice(),
          },
  }));
}

/** See `DurableJobService.readOutputs`. The data is the caller's. */
export function readOutputs(
  job: Capability,
  start: number,
  limit: number,
  options?: CallOptions,
): Promise<Uint8Array> {
  const call = job.call(
    READ_OUTPUTS,
    (params) => {
      params.start = BigInt(start);
      params.limit = limit;
    },
    options,
  );
  // What was received is in memory of its own.
  return resultOf(call, (results) => results.data.toUint8Array());
}

/** Says that log and outcome are on the scheduler's disk. */
export function settled(job: Capability, options?: CallOptions): Promise<void> {
  return done(job.call(SETTLED, undefined, options));
}
