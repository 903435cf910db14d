/**
 * A client's hold on a job that it submitted. Giving it up while the job is queued takes the job back.
 */
import { type Capability, method, serve } from "../rpc/index.js";
import { type CallOptions, capabilityOf, done } from "./calls.js";
import { Ticket$Client } from "./generated/ocluster.js";

const [JOB, CANCEL] = Ticket$Client.methods;

export interface TicketService {
  /** The job, as a promise until a worker has it. Stays the service's. */
  readonly job: Capability;
  /** Takes the job back if it is queued, or else stops it. */
  cancel(): void | Promise<void>;
  /** Nobody holds the ticket any more. */
  release(): void;
}

export function local(service: TicketService): Capability {
  return serve(
    "Ticket",
    [
      method(JOB, (call) => {
        call.results();
        call.setCapability(0, service.job.dup());
      }),
      method(CANCEL, () => service.cancel()),
    ],
    { release: () => service.release() },
  );
}

/** The job, usable at once: calls on it wait until a worker has it. Broken if it is never given to one. */
export function job(ticket: Capability): Capability {
  return capabilityOf(ticket.call(JOB), 0);
}

/** See `TicketService.cancel`. */
export function cancel(ticket: Capability, options?: CallOptions): Promise<void> {
  return done(ticket.call(CANCEL, undefined, options));
}
