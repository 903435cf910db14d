/**
 * An attempt at a durable job, as its worker offers it to the scheduler beyond `Job`. Workers that do not know durable jobs
 * answer "unimplemented": of theirs there is `Job.result` alone.
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, done, resultOf } from "./calls.js";
import { DurableJob$Client } from "./generated/extensions.js";
import { type Cause, causeFromWire, causeToWire } from "./job-records.js";

const [BEGUN, OUTCOME, SETTLED] = DurableJob$Client.methods;

/** How an attempt ended. */
export interface AttemptOutcome {
  readonly cause: Cause;
  /** Of one that has succeeded. */
  readonly output: string;
  /** For people; "" if there is nothing to say. */
  readonly reason: string;
  /** Bytes of the whole log. */
  readonly logSize: number;
}

export interface DurableJobService {
  /** Resolves when the attempt is on the worker's disk, and runs. */
  begun(): Promise<void>;
  /** Resolves when it has ended. */
  outcome(): Promise<AttemptOutcome>;
  /** The scheduler has log and outcome on disk. */
  settled(): void | Promise<void>;
}

/** The methods of a worker's `Job` that make it a `DurableJob`, too. */
export function durableJobMethods(service: DurableJobService): MethodEntry[] {
  return [
    method(BEGUN, () => service.begun()),
    method(OUTCOME, async (call) => {
      const { cause, logSize, output, reason } = await service.outcome();
      const results = call.results();
      results.cause = causeToWire(cause);
      results.output = output;
      results.reason = reason;
      results.logSize = BigInt(logSize);
    }),
    method(SETTLED, () => service.settled()),
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
  }));
}

/** Says that log and outcome are on the scheduler's disk. */
export function settled(job: Capability, options?: CallOptions): Promise<void> {
  return done(job.call(SETTLED, undefined, options));
}
