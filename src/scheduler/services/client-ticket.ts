/**
 * What a client holds of a job, from its submission until it wants to know no more of it.
 */
import { Job, type Ticket as TicketApi } from "../../api/index.js";
import type { DeferredTask, DeferredWork } from "../../async/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import type { Ticket } from "../pool/ticket.js";
import type { TicketAccount } from "./client-limits.js";
import type { QueuedJob } from "./queued-job.js";

/** Made once: that of a million jobs may be wanted at a time, and each would have a stack of its own. */
const CANCELLED = new RpcError("failed", "Ticket cancelled");
const RELEASED = new RpcError("failed", "Ticket released (cancelled)");
const REMOVED = new RpcError("failed", "Ticket cancelled: the client was removed");

export class ClientTicket implements TicketApi.TicketService, DeferredTask {
  constructor(
    private readonly ticket: Ticket<QueuedJob>,
    private readonly account: TicketAccount,
    private readonly deferredWork: DeferredWork,
    /** Those of the client in this pool, from now on with this one, until nobody holds it any more. */
    private readonly siblings: Set<ClientTicket>,
  ) {
    siblings.add(this);
  }

  job(): Capability {
    return this.ticket.job.reference();
  }

  async cancel(): Promise<void> {
    const { job } = this.ticket;
    if (this.ticket.cancel()) {
      job.break(CANCELLED);
      return;
    }
    job.cancelled = true;
    using running = job.reference();
    await Job.cancel(running);
  }

  /** The client was removed. A job that it has running goes on, or is told to stop; it is not waited for. */
  revoke(cancelRunning: boolean): void {
    const { job } = this.ticket;
    if (this.ticket.cancel()) {
      job.break(REMOVED);
    } else if (cancelRunning) {
      job.cancelled = true;
      using running = job.reference();
      // It may have ended, also with its worker.
      Job.cancel(running).catch(() => {});
    }
  }

  place(): TicketApi.QueuePlace | null {
    return this.ticket.place();
  }

  release(): void {
    this.deferredWork.add(this);
  }

  /** What is left to do when nobody holds it any more. */
  do(): void {
    const { job } = this.ticket;
    if (this.ticket.cancel()) job.break(RELEASED);
    job.releaseReference();
    this.account.leave();
    this.siblings.delete(this);
  }
}
