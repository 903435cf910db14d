/**
 * How a job can fail its client, told apart for scripts: `kind` in JSON, and a status of its
 * own. Both are listed in docs/cluster.md and stay as they are.
 */
import { DurableJob, Submission } from "../api/index.js";
import { CommandFailed } from "../console/index.js";
import { type Capability, CapFileError, type Connection, RpcError } from "../rpc/index.js";
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

/**
 * Exit statuses, of the submit commands with `--exit-codes=fine`, and of all of our own. Those of
 * shells, signals and bad command lines are not among them. */
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
 * said already; `isTold`, that programs were told (`--json`).
 */
export class JobFailure extends CommandFailed {
  readonly isTold: boolean;

  constructor(
    readonly kind: FailureKind,
    message: string,
    options?: ErrorOptions & { readonly isTold?: boolean },
  ) {
    super(message, options);
    this.isTold = options?.isTold ?? message === "";
  }
}

export interface StatusOptions {
  /** Whether failures get statuses of their own. */
  readonly fine: boolean;
  /** Whether a program reads standard output: it is told there, if it was not. */
  readonly json: boolean;
}

/** Runs a command, and has it end as its failure is to be told. */
export async function withStatuses(
  { fine, json }: StatusOptions,
  command: () => Promise<void>,
): Promise<void> {
  try {
    await command();
  } catch (error) {
    const kind = kindOfFailure(error);
    if (kind === undefined) throw error;
    if (json && !(error instanceof JobFailure && error.isTold)) tell(kind, error as Error);
    if (!fine) throw error;
    const text = error instanceof RpcError ? String(error) : (error as Error).message;
    throw new CommandFailed(text, { cause: error, status: FINE_STATUS[kind] });
  }
}

/** What programs get instead of a result. */
function tell(kind: FailureKind, error: Error): void {
  const { message } = error.cause instanceof RpcError ? error.cause : error;
  process.stdout.write(`${refusalJson(kind, message)}\n`);
}

/** One line, without the newline at its end. `more`: what it is about. */
export function refusalJson(kind: FailureKind, reason: string, more: object = {}): string {
  return visibleJson({ ok: false, ...more, kind, reason });
}

/**
 * How several jobs have failed: all in one way, or else `failed`. Null: none has.
 */
export function kindOfAll(kinds: Iterable<FailureKind>): FailureKind | null {
  const [first = null, ...others] = new Set(kinds);
  return others.length > 0 ? "failed" : first;
}

function kindOfFailure(error: unknown): FailureKind | undefined {
  if (error instanceof JobFailure) return error.kind;
  if (error instanceof CapFileError) return "refused";
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
