/**
 * A client's hold on a job that it submitted. Giving it up while the job is queued takes the job
 * back.
 */
import { type Capability, method, objectType } from "../rpc/index.js";
import { type CallOptions, capabilityOf, done, resultOf, writeTexts } from "./calls.js";
import {
  QueuedTicket$Client,
  QueuePlace_Queue_Which,
  type QueuePlace as WireQueuePlace,
} from "./generated/extensions.js";
import { Ticket$Client } from "./generated/ocluster.js";

const [JOB, CANCEL] = Ticket$Client.methods;
const [PLACE] = QueuedTicket$Client.methods;

/** Where a job is queued. */
export interface QueuePlace {
  /** The worker that it was put aside for; null: for any of the pool. */
  readonly worker: string | null;
  /**
   * How many jobs of that queue would be taken before it: an estimate when jobs in there were
   * cancelled.
   */
  readonly ahead: number;
  /** How many jobs are in that queue, itself included. */
  readonly length: number;
  /**
   * The abilities that it needs and no connected worker has. By default none: some worker can run
   * it, or none is connected.
   */
  readonly lacking?: readonly string[] | undefined;
}

export interface TicketService {
  /** A reference to the job for the caller: a promise until a worker has it. */
  job(): Capability;
  /** Takes the job back if it is queued, or else stops it. */
  cancel(): void | Promise<void>;
  /** Where it is queued now; null if it is not. */
  place(): QueuePlace | null;
  /** Nobody holds the ticket any more. */
  release(): void;
}

/** There can be a million tickets, so they share what they can. */
export const local = objectType<TicketService>(
  "Ticket",
  [
    method(JOB, (call, ticket: TicketService) => call.setCapability(0, ticket.job())),
    method(CANCEL, (_, ticket: TicketService) => ticket.cancel()),
    method(PLACE, (call, ticket: TicketService) => {
      writePlace(call.results()._initPlace(), ticket.place());
    }),
  ],
  (ticket) => ticket.release(),
);

/**
 * The job, usable at once: calls on it wait until a worker has it. Broken if it is never given to
 * one.
 */
export function job(ticket: Capability): Capability {
  return capabilityOf(ticket.call(JOB), 0);
}

/** See `TicketService.cancel`. */
export function cancel(ticket: Capability, options?: CallOptions): Promise<void> {
  return done(ticket.call(CANCEL, undefined, options));
}

/**
 * Where the job is queued now; null if it is not (any more). Others may yet come before it. Rejects
 * as "unimplemented" if the scheduler cannot tell.
 */
export function place(ticket: Capability, options?: CallOptions): Promise<QueuePlace | null> {
  return resultOf(ticket.call(PLACE, undefined, options), (results) => readPlace(results.place));
}

export function writePlace(wire: WireQueuePlace, place: QueuePlace | null): void {
  if (!place) return;
  const { ahead, lacking = [], length, worker } = place;
  const queue = wire._initQueue();
  if (worker === null) queue.backlog = true;
  else queue.worker = worker;
  wire.ahead = ahead;
  wire.length = length;
  if (lacking.length > 0) writeTexts(wire._initLacking(lacking.length), lacking);
}

export function readPlace(place: WireQueuePlace): QueuePlace | null {
  const { ahead, length, queue } = place;
  const missing = place.lacking.toArray();
  const lacking = missing.length > 0 ? { lacking: missing } : {};
  switch (queue.which()) {
    case QueuePlace_Queue_Which.BACKLOG:
      return { worker: null, ahead, length, ...lacking };
    case QueuePlace_Queue_Which.WORKER:
      return { worker: queue.worker, ahead, length, ...lacking };
    default:
      // Also what a later version may add.
      return null;
  }
}
