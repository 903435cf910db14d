/**
 * A client's hold on a job that it submitted. Giving it up while the job is queued takes the job back.
 */
import { type Capability, method, objectType } from "../rpc/index.js";
import { type CallOptions, capabilityOf, done } from "./calls.js";
import { Ticket$Client } from "./generated/ocluster.js";

const [JOB, CANCEL] = Ticket$Client.methods;

export interface TicketService {
  /** A reference to the job for the caller: a promise until a worker has it. */
  job(): Capability;
  /** Takes the job back if it is queued, or else stops it. */
  cancel(): void | Promise<void>;
  /** Nobody holds the ticket any more. */
  release(): void;
}

/** There can be a million tickets, so they share what they can. */
export const local = objectType<TicketService>(
  "Ticket",
  [
    method(JOB, (call, ticket: TicketService) => call.setCapability(0, ticket.job())),
    method(CANCEL, (_, ticket: TicketService) => ticket.cancel()),
  ],
  (ticket) => ticket.release(),
);

/** The job, usable at once: calls on it wait until a worker has it. Broken if it is never given to one. */
export function job(ticket: Capability): Capability {
  return capabilityOf(ticket.call(JOB), 0);
}

/** See `TicketService.cancel`. */
export function cancel(ticket: Capability, options?: CallOptions): Promise<void> {
  return done(ticket.call(CANCEL, undefined, options));
}
