/**
 * Attached jobs on record: who had what run where, when, for how long, and how it ended. They
 * belong to their connections as ever; nothing waits for these records, and nothing is decided by
 * them.
 *
 * A job is written down once, when it has ended, which is cheap; one that runs for longer also
 * before that, so that it is seen. Of jobs that never started there is nothing.
 */
import { DEFAULT_OPTIONS, newJob } from "../jobs/submission.js";
import type { AttemptRecord, JobCause, JobRecord, JobState } from "../jobs/types.js";
import { RECORD_BYTES } from "../state/client-use-table.js";
import { endOf } from "../state/ended-runs.js";
import type { JobRecords } from "../state/job-records.js";
import type { AttachedRun } from "./attached-run.js";
import { outcomeOf } from "./job-lines.js";

/** How long a job runs until it is written down, in ms: up to twice that. */
const SOON_MS = 5000;

/** Characters of a reason. */
const MAX_REASON = 1000;

export class AttachedHistory {
  private readonly running = new Set<AttachedRun>();
  private readonly timer: NodeJS.Timeout;
  private isStopped = false;

  /** @param recordBytes that a client may have: of who has more, there are no more records here */
  constructor(
    private readonly records: JobRecords,
    private readonly recordBytes: number,
  ) {
    this.timer = setInterval(() => this.writeRunning(SOON_MS), SOON_MS).unref();
  }

  /** A worker has taken the job. */
  started(run: AttachedRun): void {
    this.running.add(run);
  }

  /** @param error why it failed; null if it succeeded */
  ended(run: AttachedRun, output: string, error: { kind: string; message: string } | null): void {
    if (!this.running.delete(run) || this.isStopped) return;
    const cause = outcomeOf(run.of.job, error);
    const reason = error?.message.slice(0, MAX_REASON) ?? "";
    if (run.rows) {
      this.write(run, endOf(cause), cause, reason, output);
    } else if (this.hasRoom(run)) {
      const { cached, client, job, pool, urgent, worker } = run.of;
      const { hint, id, submitted } = job;
      this.records.saveEnded({
        ...{ id, client, pool, hint, worker, urgent, cached, submitted },
        ...{ started: run.started, ended: Date.now() / 1000, cause, reason, output },
      });
    }
  }

  /**
   * Jobs that ran when an earlier scheduler was killed: nobody knows what became of them. Resolves
   * when they are looked up.
   */
  async closeFormer(): Promise<void> {
    for (const { attempts, job } of await this.records.attachedRunning()) {
      const ended = Date.now() / 1000;
      const reason = "The scheduler was restarted.";
      this.records.saveJob(Object.assign(job, { state: "failed", cause: "lost", ended, reason }));
      for (const attempt of attempts) {
        this.records.saveAttempt(job, Object.assign(attempt, { outcome: "lost", ended, reason }));
      }
    }
  }

  /** What runs is lost with its connections. */
  stop(): void {
    clearInterval(this.timer);
    const error = { kind: "disconnected", message: "The scheduler was stopped." };
    for (const run of [...this.running]) this.ended(run, "", error);
    this.isStopped = true;
  }

  /** Writes down what has run for so long, in ms. */
  writeRunning(atLeast: number): void {
    const before = (Date.now() - atLeast) / 1000;
    for (const run of this.running) {
      // In the order of their starts.
      if (run.started > before) return;
      if (!run.rows) this.write(run, "running", null, "", "");
    }
  }

  private hasRoom({ of }: AttachedRun): boolean {
    return this.records.useOf(of.client).records + RECORD_BYTES <= this.recordBytes;
  }

  private write(
    run: AttachedRun,
    state: JobState,
    cause: JobCause | null,
    reason: string,
    output: string,
  ): void {
    const ended = cause === null ? null : Date.now() / 1000;
    if (!run.rows && !this.hasRoom(run)) return;
    run.rows ??= rowsOf(run);
    const { attempt, job } = run.rows;
    Object.assign(job, { state, cause, reason, output, ended });
    Object.assign(attempt, { outcome: cause, reason, ended });
    this.records.saveJob(job);
    this.records.saveAttempt(job, attempt);
  }
}

function rowsOf({ of, started }: AttachedRun): NonNullable<AttachedRun["rows"]> {
  const { cached, client, job: queued, pool, urgent, worker } = of;
  const { hint, id, submitted } = queued;
  const submission = { client, pool, urgent, hint, description: NOTHING };
  const job: JobRecord = {
    ...newJob(id, submission, DEFAULT_OPTIONS, submitted),
    kind: "attached",
    described: false,
    started,
    attempts: 1,
  };
  const attempt: AttemptRecord = {
    job: id,
    attempt: 1,
    worker,
    resumes: false,
    cached,
    offered: started,
    started,
    ended: null,
    outcome: null,
    reason: "",
    logSize: 0,
  };
  return { job, attempt };
}

const NOTHING = new Uint8Array(0);
