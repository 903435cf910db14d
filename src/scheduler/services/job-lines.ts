/**
 * One line in the scheduler's log for each job that has ended: whose it was, where it ran, how long
 * it waited and ran, and how it ended. Attached and durable jobs look the same, and so do the
 * fields for machines.
 */
import type { Logger } from "../../console/index.js";
import { quoted, visible, writeDuration } from "../../text/index.js";
import type { AttemptRecord, JobCause, JobRecord } from "../jobs/types.js";
import type { AttachedRun } from "./attached-run.js";
import type { QueuedJob } from "./queued-job.js";

/** Characters of a reason. */
const MAX_REASON = 200;

/** Times are seconds. */
interface EndedJob {
  /** 0: it has no number. */
  readonly job: number;
  readonly kind: "attached" | "durable";
  readonly client: string;
  readonly pool: string;
  readonly hint: string;
  /** Of its last attempt; null if it never ran. */
  readonly worker: string | null;
  /** From its submission to its first start, or to its end. */
  readonly wait: number;
  /** Of its last attempt; null if it never ran. */
  readonly duration: number | null;
  readonly attempts: number;
  readonly outcome: JobCause;
  readonly reason: string;
}

export class JobLines {
  constructor(private readonly log: Logger) {}

  /** @param error why it failed; null if it succeeded */
  attachedEnded(run: AttachedRun, error: { kind: string; message: string } | null): void {
    if (this.log.informing === false) return;
    const { client, job, pool, worker } = run.of;
    this.write({
      ...{ job: job.id, kind: "attached", client, pool, hint: job.hint, worker },
      wait: run.started - job.submitted,
      duration: Date.now() / 1000 - run.started,
      attempts: 1,
      outcome: outcomeOf(job, error),
      reason: error?.message ?? "",
    });
  }

  /** It was queued, and was given up. */
  attachedCancelled(job: QueuedJob, client: string, pool: string, reason: string): void {
    if (this.log.informing === false) return;
    this.write({
      ...{ job: job.id, kind: "attached", client, pool, hint: job.hint, worker: null },
      wait: Date.now() / 1000 - job.submitted,
      duration: null,
      attempts: 0,
      outcome: "cancelled",
      reason,
    });
  }

  /** @param last its last attempt, if that is known */
  durableEnded(record: Readonly<JobRecord>, last: Readonly<AttemptRecord> | undefined): void {
    if (this.log.informing === false) return;
    const { attempts, cause, client, hint, id, pool, reason, started, submitted } = record;
    const ended = record.ended ?? Date.now() / 1000;
    const began = last?.started ?? started;
    this.write({
      ...{ job: id, kind: "durable", client, pool, hint, worker: last?.worker ?? null },
      wait: (started ?? ended) - submitted,
      duration: began === null ? null : (last?.ended ?? ended) - began,
      attempts,
      outcome: cause ?? "failed",
      reason,
    });
  }

  private write(ended: EndedJob): void {
    const rounded = (seconds: number) => Math.round(Math.max(0, seconds) * 1000) / 1000;
    const { duration, hint, reason, wait } = ended;
    this.log.info(lineOf(ended), {
      ...ended,
      hint: hint === "" ? null : hint,
      wait: rounded(wait),
      duration: duration === null ? null : rounded(duration),
      reason: reason === "" ? null : reason.slice(0, MAX_REASON),
    });
  }
}

/**
 * `Job 17 of "alice" in "linux-x86_64", hint "web": failed on "w1" after 3m05s (waited 12s): Build
 * failed`
 */
function lineOf(ended: EndedJob): string {
  const { attempts, client, duration, hint, job, outcome, pool, reason, wait, worker } = ended;
  const number = job === 0 ? "" : ` ${job}`;
  const hinted = hint === "" ? "" : `, hint ${quoted(hint)}`;
  const where = worker === null ? "" : ` on ${quoted(worker)}`;
  const time = duration === null ? "" : ` after ${writeDuration(duration)}`;
  const tries = attempts > 1 ? `, ${attempts} attempts` : "";
  const why =
    reason === "" || outcome === "succeeded" ? "" : `: ${visible(reason.slice(0, MAX_REASON))}`;
  return (
    `Job${number} of ${quoted(client)} in ${quoted(pool)}${hinted}: ` +
    `${outcome}${where}${time} (waited ${writeDuration(wait)}${tries})${why}`
  );
}

/** How an attached job ended. */
export function outcomeOf(job: QueuedJob, error: { kind: string } | null): JobCause {
  if (error === null) return "succeeded";
  if (job.cancelled) return "cancelled";
  return error.kind === "disconnected" ? "lost" : "failed";
}
