/**
 * Submits a job and sees it through: its log as it comes, then its result.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { AbleQueue, Job, type JobDescr, Submission, Ticket } from "../api/index.js";
import { interruptible, stderrTerminal } from "../console/index.js";
import { type Capability, type Connection, RpcError } from "../rpc/index.js";
import { visible } from "../text/index.js";
import { type FailureKind, JobFailure, kindOfEnd, kindOfLoss } from "./failure.js";
import { ClientOutput, type OutputOptions } from "./output.js";
import { onlyPool } from "./pools.js";
import { describeRefusal, GET_ANOTHER, withService } from "./session.js";
import { JobStatus } from "./status.js";

export interface SubmitOptions extends OutputOptions {
  /** The path of the capability file. */
  readonly connect: string;
  /** Undefined: the only one that there is. */
  readonly pool: string | undefined;
  readonly urgent: boolean;
  readonly descr: JobDescr;
  readonly quiet: boolean;
}

/** How often somebody who waits is told their place in the queue. */
const PLACE_INTERVAL_MS = 3000;

/** What a client is told that was removed while it was connected. */
const REVOKED = "Access has been revoked";

/** How long an interrupted client waits to hear that its job was cancelled. */
const CANCEL_TIMEOUT_MS = 1000;

/**
 * Throws a `CommandFailed` without text when the job failed, as that has been said then; rejects
 * with `Interrupted` when the process is told to end: the job is cancelled first.
 */
export async function submit(options: SubmitOptions): Promise<void> {
  const output = new ClientOutput(options);
  try {
    await interruptible((signal) =>
      withService(
        options.connect,
        (submission, connection) => seeThrough(submission, connection, options, output, signal),
        { quiet: options.quiet, signal },
      ),
    );
  } finally {
    output.close();
  }
}

async function seeThrough(
  submission: Capability,
  connection: Connection,
  { connect, pool: named, descr, urgent, quiet }: SubmitOptions,
  output: ClientOutput,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const pool = named ?? (await onlyPool(submission));
  signal.throwIfAborted();
  using ticket = Submission.submit(submission, { pool, descr, urgent });
  using job = Ticket.job(ticket);
  const result = Job.result(job).then(
    (value) => ({ value }),
    (error: RpcError) => ({ error }),
  );
  const status = new JobStatus(stderrTerminal, !quiet);
  const seen = new AbortController();
  let kind: FailureKind = "failed";
  try {
    output.start();
    void ticket.whenResolved().then(
      () => status.begin(),
      () => {}, // It is told by the job, which is broken, too.
    );
    if (!quiet) void followQueue(ticket, pool, status, seen.signal);
    await tail(job, output, status, signal);
    const outcome = await result;
    status.end();
    if ("value" in outcome) {
      output.succeeded(outcome.value);
      return;
    }
    kind = await kindOfEnd(job, outcome.error, connection);
    output.failed(outcome.error, kind);
  } catch (error) {
    status.end();
    if (signal.aborted) await cancel(ticket, quiet);
    signal.throwIfAborted();
    if (!(error instanceof RpcError)) throw error;
    const loss = kindOfLoss(error, connection);
    output.lost(connection.error ?? error, loss);
    throw new JobFailure(loss, describeLoss(error, connection, connect), {
      cause: error,
      isTold: true,
    });
  } finally {
    seen.abort();
  }
  throw new JobFailure(kind, "");
}

/**
 * Shows the job's place in the queue until it has left it, if the scheduler tells; others know
 * nothing of places. Where there is no status line, says at least that no worker can run it.
 */
async function followQueue(
  ticket: Capability,
  pool: string,
  status: JobStatus,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (let queued = true; queued; ) {
      const place = await Ticket.place(ticket, { signal });
      status.queued(place, pool);
      queued = place !== null;
      const [ability] = place?.lacking ?? [];
      if (ability !== undefined && !status.isShown) {
        const what = AbleQueue.describeAbility(ability);
        stderrTerminal.line(
          `No connected worker in ${visible(pool)} can ${what}: the job waits for one.`,
        );
        return;
      }
      if (queued) await sleep(PLACE_INTERVAL_MS, undefined, { signal });
    }
  } catch {
    // What went wrong with the job itself is told by its result.
  }
}

async function tail(
  job: Capability,
  output: ClientOutput,
  status: JobStatus,
  signal: AbortSignal,
): Promise<void> {
  let start = 0;
  for (;;) {
    const { data, next } = await Job.log(job, start, { signal });
    if (data.length === 0) return;
    let written: Promise<void> | undefined;
    status.log(data, () => {
      written = output.log(data);
    });
    await written;
    start = next;
  }
}

/** Takes the job back, and waits a moment to know that this has arrived. */
async function cancel(ticket: Capability, quiet: boolean): Promise<void> {
  if (!quiet) stderrTerminal.line("Interrupted: cancelling the job.");
  const options = { signal: AbortSignal.timeout(CANCEL_TIMEOUT_MS) };
  // If it cannot be told, hanging up has the same effect.
  await Ticket.cancel(ticket, options).catch(() => {});
}

/** Says who was lost, if somebody was; otherwise why there is no job to see through. */
function describeLoss(error: RpcError, connection: Connection, capFile: string): string {
  if (connection.error) return `Lost connection to the scheduler: ${connection.error}`;
  if (error.kind === "disconnected") return `Lost the worker that ran the job: ${error}`;
  const refusal = describeRefusal(
    error,
    capFile,
    "one that `ocluster-admin add-client` has printed",
  );
  const advice = error.message === REVOKED ? `\n${GET_ANOTHER}` : "";
  return `Error tailing logs: ${refusal}${advice}`;
}
