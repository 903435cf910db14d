/**
 * What a client's secret opens: jobs are submitted here.
 */
import { Submission } from "../../api/index.js";
import { brokenCapability, type Capability, RpcError, type SturdyRef } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import type { TicketAccount } from "./client-limits.js";
import type { Access } from "./clients.js";
import type { ClusterPool } from "./cluster-pool.js";

export interface SubmissionOptions {
  readonly access: Access;
  readonly pools: ReadonlyMap<string, ClusterPool>;
  /** Of the connection through which the service is used. */
  readonly ticketAccount: TicketAccount;
  /** Where the service can be had again. */
  readonly sturdyRef: SturdyRef;
}

/** A client's `Submission`, owned by the caller. */
export function submissionService(options: SubmissionOptions): Capability {
  const { access, pools, sturdyRef, ticketAccount } = options;
  return Submission.local({
    submit: ({ pool: name, descr, urgent }) => {
      const { client, queueAccount, revoked } = access;
      const pool = pools.get(name);
      if (revoked || !pool) {
        descr.release();
        // As a ticket that is of no use: that is how clients expect to be told.
        return brokenCapability(revoked ? accessRevoked() : unknownPool(name, pools));
      }
      return pool.submit({ client, descr, urgent, queueAccount, ticketAccount });
    },
    save: () => sturdyRef,
  });
}

function accessRevoked(): RpcError {
  return new RpcError("failed", "Access has been revoked");
}

function unknownPool(name: string, pools: ReadonlyMap<string, unknown>): RpcError {
  const known = [...pools.keys()].join(", ");
  // It may be as long as a message: quoting all of it would keep everybody else waiting.
  const shown = quoted(name.slice(0, 256));
  return new RpcError("failed", `Pool ID ${shown} not one of {${known}}`);
}
