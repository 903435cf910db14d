/**
 * What a client's capability file leads to: the right to submit jobs in that client's name.
 */
import {
  type Capability,
  type DetachedPointer,
  type MethodEntry,
  method,
  RpcError,
  serve,
} from "../rpc/index.js";
import { capabilityOf } from "./calls.js";
import { Submission$Client } from "./generated/ocluster.js";
import { type JobDescr, writeJobDescr } from "./job-descr.js";
import { type Saveable, saveMethod } from "./persistent.js";

const [SUBMIT] = Submission$Client.methods;

/** A job to be queued, as the scheduler gets it. */
export interface SubmittedJob {
  readonly pool: string;
  /** A `JobDescr`, not looked into; owned by who gets it. */
  readonly descr: DetachedPointer;
  readonly urgent: boolean;
}

export interface SubmissionService extends Saveable {
  /**
   * Queues a job and returns its `Ticket`, owned by the caller. What it throws goes to the client.
   */
  submit(job: SubmittedJob): Capability | Promise<Capability>;
}

/** `extensions`: methods of further interfaces that the object has. */
export function local(
  service: SubmissionService,
  extensions: readonly MethodEntry[] = [],
): Capability {
  return serve("Submission", [
    method(SUBMIT, (call) => {
      const { pool, urgent } = call.params;
      const answer = (ticket: Capability) => {
        call.results();
        call.setCapability(0, ticket);
      };
      const ticket = service.submit({ pool, urgent, descr: call.detach(1) });
      // In the same turn if it can be: there are thousands of them.
      return ticket instanceof Promise ? ticket.then(answer) : answer(ticket);
    }),
    saveMethod(service),
    ...extensions,
  ]);
}

export interface Submit {
  /** The name of the pool that shall run it. */
  readonly pool: string;
  readonly descr: JobDescr;
  /** Before all jobs that are not urgent. */
  readonly urgent?: boolean;
}

/**
 * Whether a job was refused because there is no such pool: so our schedulers say it, and the
 * reference's.
 */
export function isUnknownPool(error: unknown): boolean {
  return (
    error instanceof RpcError && error.kind === "failed" && / not one of \{/.test(error.message)
  );
}

/** Submits a job. The result is its `Ticket`, usable at once; broken if the job is refused. */
export function submit(
  submission: Capability,
  { pool, descr, urgent = false }: Submit,
): Capability {
  const call = submission.call(SUBMIT, (params) => {
    params.pool = pool;
    params.urgent = urgent;
    writeJobDescr(params._initDescr(), descr);
  });
  return capabilityOf(call, 0);
}
