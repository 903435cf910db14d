/**
 * How a job can fail its client, told apart for scripts: `kind` in JSON, and with
 * `--exit-codes=fine` a status of its own. Both are listed in docs/cluster.md and stay as they are.
 */
import { DurableJob, Submission } from "../api/index.js";
import { CommandFailed } from "../console/index.js";
import { type Capability, type Connection, RpcError } from "../rpc/index.js";
import { visibleJson } from "../text/index.js";

export type FailureKind =
  /** The build itself. */
  | "failed"
  /** The worker had no room on its disks. */
  | "no-space"
  | "timeout"
  | "cancelled"
  | "worker-lost"
  /** It cannot be reached, or went away. */
  | "scheduler-lost"
  /** The scheduler, or the capability file, does not let it in. */
  | "refused"
  | "no-such-pool";

/** Exit statuses. Those of shells, signals and bad command lines are not among them. */
export const FINE_STATUS: Readonly<Record<FailureKind, number>> = {
  failed: 1,
  "worker-lost": 10,
  "scheduler-lost": 11,
  refused: 12,
  "no-such-pool": 13,
  timeout: 14,
  cancelled: 15,
  "no-space": 16,
};

/**
 * A job that did not come to a good end, or to none. An empty message means that everything was
 * said already.
 */
export class JobFailure extends CommandFailed {
  constructor(
    readonly kind: FailureKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Runs a command, whose failures get statuses of their own with `fine`. */
export async function withStatuses(fine: boolean, command: () => Promise<void>): Promise<void> {
  try {
    await command();
  } catch (error) {
    const kind = fine ? kindOfFailure(error) : undefined;
    if (kind === undefined) throw error;
    throw new CommandFailed((error as Error).message, { cause: error, status: FINE_STATUS[kind] });
  }
}

function kindOfFailure(error: unknown): FailureKind | undefined {
  if (error instanceof JobFailure) return error.kind;
  if (error instanceof RpcError) return kindOfRefusal(error);
  return error instanceof CommandFailed && error.cause instanceof RpcError
    ? kindOfRefusal(error.cause)
    : undefined;
}

/** What a call to the scheduler has failed with. */
export function kindOfRefusal(error: RpcError): FailureKind {
  if (Submission.isUnknownPool(error)) return "no-such-pool";
  return error.kind === "disconnected" ? "scheduler-lost" : "refused";
}

/** What a job was lost to: its worker, its scheduler, or it was not let in. */
export function kindOfLoss(error: RpcError, connection: Connection): FailureKind {
  if (connection.error) return "scheduler-lost";
  if (error.kind === "failed" && TAKEN_BACK.test(error.message)) return "cancelled";
  return error.kind === "disconnected" ? "worker-lost" : kindOfRefusal(error);
}

/** How schedulers, the reference's too, say that a queued job was cancelled. */
const TAKEN_BACK = /^Ticket (cancelled|released)/;

/**
 * Why a job has failed, which workers of ours say that it ended; of others' jobs it is the build.
 */
export async function kindOfEnd(
  job: Capability,
  error: RpcError,
  connection: Connection,
): Promise<FailureKind> {
  if (error.kind === "disconnected") return kindOfLoss(error, connection);
  const cause = await DurableJob.outcome(job).then(
    (outcome) => outcome.cause,
    () => "failed" as const,
  );
  return kindOfCause(cause);
}

export function kindOfCause(cause: string | null): FailureKind {
  switch (cause) {
    case "no space":
      return "no-space";
    case "timeout":
    case "cancelled":
      return cause;
    case "evicted":
    case "lost":
    case "crashed":
      return "worker-lost";
    default:
      return "failed";
  }
}

/** Says of a job that was not submitted why, for programs. */
export function printRefusal(error: unknown): void {
  if (!(error instanceof JobFailure)) return;
  const { kind, message } = error;
  process.stdout.write(`${visibleJson({ ok: false, kind, reason: message })}\n`);
}
