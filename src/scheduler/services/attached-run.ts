/**
 * An attached job that a worker runs, as far as the scheduler sees it: its log and its result pass
 * through here unread.
 */
import { Job } from "../../api/index.js";
import type { Capability } from "../../rpc/index.js";
import type { AttemptRecord, JobRecord } from "../jobs/types.js";
import type { Experience } from "../pool/learned-estimates.js";
import type { QueuedJob } from "./queued-job.js";

export interface AttachedStart {
  readonly job: QueuedJob;
  readonly client: string;
  readonly pool: string;
  readonly urgent: boolean;
  readonly worker: string;
  /** See `AttemptRecord`. */
  readonly cached: boolean;
}

export class AttachedRun {
  /** In seconds since the Unix epoch, as all times here. */
  readonly started = Date.now() / 1000;
  private readonly began = performance.now();
  /** When its client was last given a part of its log; null: not yet. */
  lastOutput: number | null = null;
  /** When it has been written down. */
  rows: { readonly job: JobRecord; readonly attempt: AttemptRecord } | undefined;

  constructor(
    readonly of: AttachedStart,
    /** Gives a reference to its `Job`, for the caller; null if its client has given it up. */
    private readonly reference: () => Capability | null,
  ) {}

  /** Its client has not given it up. */
  get isHeld(): boolean {
    using job = this.reference();
    return job !== null;
  }

  /**
   * What is to be learnt of it when it has ended now; null if it has come to no end of its own.
   *
   * @param error why it failed; null if it succeeded
   */
  experience(error: { kind: string } | null): Experience | null {
    const { cached, client, job } = this.of;
    if (job.cancelled || (error !== null && error.kind !== "failed")) return null;
    return { client, hint: job.hint, cached, seconds: (performance.now() - this.began) / 1000 };
  }

  /** Something of its log came by. */
  logged(): void {
    this.lastOutput = Date.now() / 1000;
  }

  /** Tells its worker to stop it, which is not waited for. */
  cancel(): void {
    this.of.job.cancelled = true;
    using job = this.reference();
    // It may have ended, also with its worker.
    if (job) Job.cancel(job).catch(() => {});
  }
}
