/**
 * Submitting durable jobs: what our schedulers' `Submission`s offer beyond the shared contract.
 * Others answer "unimplemented".
 *
 * Times are seconds since the Unix epoch.
 */
import { type Capability, type DetachedPointer, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, resultOf } from "./calls.js";
import {
  DurableSubmission$Client,
  type DurableOptions as WireDurableOptions,
} from "./generated/extensions.js";
import { type JobDescr, writeJobDescr } from "./job-descr.js";
import { type OutputOrder, readOutputOrder, writeOutputOrder } from "./output-order.js";

const [SUBMIT] = DurableSubmission$Client.methods;

/** How a durable job is to be treated. */
export interface DurableOptions {
  readonly name: string;
  /** Not empty: the same key of the same client is the same job. */
  readonly key: string;
  /** Attempts after one that failed or took too long. */
  readonly retries: number;
  /** Attempts after one that was lost with its worker; may be `Infinity`. */
  readonly lostRetries: number;
  /** Seconds before a further attempt. */
  readonly retryDelay: number;
  /** Seconds that an attempt may run; 0: any time. */
  readonly timeout: number;
  /** Jobs of the same client that must have succeeded before it starts. */
  readonly after: readonly number[];
  /**
   * Which files of its result are kept. A scheduler that does not know of that keeps none, and says
   * nothing.
   */
  readonly outputs?: OutputOrder | undefined;
}

export const DEFAULT_DURABLE_OPTIONS: DurableOptions = {
  name: "",
  key: "",
  retries: 0,
  lostRetries: 5,
  retryDelay: 0,
  timeout: 0,
  after: [],
};

/** A durable job to be queued, as the scheduler gets it. */
export interface SubmittedDurableJob {
  readonly pool: string;
  /** A `JobDescr`, not looked into; owned by who gets it. */
  readonly descr: DetachedPointer;
  readonly urgent: boolean;
  readonly options: DurableOptions;
}

export interface DurableSubmitted {
  readonly job: number;
  /** There was a job with this key already, which this is: nothing was submitted. */
  readonly known: boolean;
}

export interface DurableSubmissionService {
  /** Resolves when the job is on disk. What it throws goes to the client. */
  submitDurable(job: SubmittedDurableJob): Promise<DurableSubmitted>;
}

/** The method of a client's service that makes it a `DurableSubmission`, too. */
export function durableSubmissionMethods(service: DurableSubmissionService): MethodEntry[] {
  return [
    method(SUBMIT, async (call) => {
      const { pool, urgent, options } = call.params;
      const read = readDurableOptions(options);
      const { job, known } = await service.submitDurable({
        pool,
        urgent,
        options: read,
        descr: call.detach(1),
      });
      const results = call.results();
      results.job = BigInt(job);
      results.known = known;
    }),
  ];
}

export interface DurableSubmit {
  /** The name of the pool that shall run it. */
  readonly pool: string;
  readonly descr: JobDescr;
  readonly urgent?: boolean;
  readonly options: DurableOptions;
}

/**
 * Submits a durable job; resolves when the scheduler has it on disk. Rejects as "unimplemented" if
 * it knows no such jobs.
 */
export function submit(
  submission: Capability,
  { pool, descr, urgent = false, options }: DurableSubmit,
  callOptions?: CallOptions,
): Promise<DurableSubmitted> {
  const call = submission.call(
    SUBMIT,
    (params) => {
      params.pool = pool;
      params.urgent = urgent;
      writeJobDescr(params._initDescr(), descr);
      writeDurableOptions(params._initOptions(), options);
    },
    callOptions,
  );
  return resultOf(call, ({ job, known }) => ({ job: Number(job), known }));
}

export function writeDurableOptions(wire: WireDurableOptions, options: DurableOptions): void {
  wire.name = options.name;
  wire.key = options.key;
  wire.retries = options.retries;
  wire.lostRetries = options.lostRetries;
  wire.retryDelay = options.retryDelay;
  wire.timeout = options.timeout;
  const after = wire._initAfter(options.after.length);
  for (const [index, job] of options.after.entries()) after.set(index, BigInt(job));
  writeOutputOrder(wire, options.outputs);
}

export function readDurableOptions(wire: WireDurableOptions): DurableOptions {
  return {
    name: wire.name,
    key: wire.key,
    retries: wire.retries,
    lostRetries: wire.lostRetries,
    retryDelay: wire.retryDelay,
    timeout: wire.timeout,
    after: wire.after.map(Number),
    outputs: readOutputOrder(wire),
  };
}
