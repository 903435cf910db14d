/**
 * What a client holds of a job, from its submission until it wants to know no more of it.
 */
import { Job, type Ticket as TicketApi } from "../../api/index.js";
import type { DeferredTask, DeferredWork } from "../../async/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import type { Ticket } from "../pool/ticket.js";
import type { TicketAccount } from "./client-limits.js";
import type { QueuedJob } from "./queued-job.js";

/**
 * Made once: that of a million jobs may be wanted at a time, and each would have a stack of its
 * own.
 */
const CANCELLED = new RpcError("failed", "Ticket cancelled");
const RELEASED = new RpcError("failed", "Ticket released (cancelled)");
const REMOVED = new RpcError("failed", "Ticket cancelled: the client was removed");

/** What the tickets of one pool have in common. */
export interface TicketOffice {
  readonly deferredWork: DeferredWork;
  /** A queued job was taken back. */
  onCancelled(ticket: Ticket<QueuedJob>, reason: RpcError): void;
}

export class ClientTicket implements TicketApi.TicketService, DeferredTask {
  constructor(
    private readonly ticket: Ticket<QueuedJob>,
    private readonly account: TicketAccount,
    private readonly office: TicketOffice,
    /**
     * Those of the client in this pool, from now on with this one, until nobody holds it any more.
     */
    private readonly siblings: Set<ClientTicket>,
  ) {
    siblings.add(this);
  }

  get client(): string {
    return this.ticket.client.id;
  }

  get urgent(): boolean {
    return this.ticket.urgent;
  }

  get isQueued(): boolean {
    return this.ticket.queued;
  }

  get queuedJob(): QueuedJob {
    return this.ticket.job;
  }

  job(): Capability {
    return this.ticket.job.reference();
  }

  async cancel(): Promise<void> {
    if (this.takeBack(CANCELLED)) return;
    const { job } = this.ticket;
    job.cancelled = true;
    using running = job.reference();
    await Job.cancel(running);
  }

  /**
   * The client was removed. A job that it has running goes on, or is told to stop; it is not waited
   * for.
   */
  revoke(cancelRunning: boolean): void {
    if (this.takeBack(REMOVED)) return;
    if (cancelRunning) {
      const { job } = this.ticket;
      job.cancelled = true;
      using running = job.reference();
      // It may have ended, also with its worker.
      Job.cancel(running).catch(() => {});
    }
  }

  /** The job is not wanted, if it is queued. `reason`: a sentence. */
  withdraw(reason: string): void {
    const why = reason.replace(/^Cancelled (?=by )|^/, (told) => (told === "" ? ": " : " "));
    this.takeBack(new RpcError("failed", `Ticket cancelled${why.replace(/\.$/, "")}`));
  }

  place(): TicketApi.QueuePlace | null {
    const place = this.ticket.place();
    return place && { ...place, lacking: this.ticket.lacking() };
  }

  release(): void {
    this.office.deferredWork.add(this);
  }

  /** What is left to do when nobody holds it any more. */
  do(): void {
    this.takeBack(RELEASED);
    this.ticket.job.releaseReference();
    this.account.leave();
    this.siblings.delete(this);
  }

  /** False if it is not queued (any more). */
  private takeBack(reason: RpcError): boolean {
    if (!this.ticket.cancel()) return false;
    this.ticket.job.break(reason);
    this.office.onCancelled(this.ticket, reason);
    return true;
  }
}
