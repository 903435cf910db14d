/**
 * One job of this worker, from the offer to its end. Its states:
 *
 * - *offered*: its capability went to the scheduler with a request for work; there is nothing to run yet. Whoever reads
 *   its log waits.
 * - *running*: the request was answered. `cancel`, or the release of the capability, aborts its signal; it still runs
 *   until it has cleaned up.
 * - *ended*: the log is complete, then the outcome is known. Log and outcome stay until the capability is released.
 *
 * An offered job whose request failed is ended at once.
 */
import { Job as JobApi } from "../api/index.js";
import { type Capability, RpcError } from "../rpc/index.js";
import { JobCancelled, JobFailed } from "./failure.js";
import { JobLog, type JobLogOptions } from "./log/job-log.js";
import { exceptionText } from "./log/notes.js";

/** How jobs end, as the metrics count them. "error": neither well nor by a build that failed. */
export type JobEnd = "ok" | "fail" | "cancelled" | "error";

export class Job {
  readonly log: JobLog;
  readonly #controller = new AbortController();
  readonly #outcome: Promise<string>;
  #settle!: (outcome: string | RpcError) => void;
  #released = false;

  constructor(
    options: JobLogOptions,
    /** Called when the capability is released and the job has ended: nobody will ever ask for anything of it. */
    private readonly onGone: () => void = () => {},
  ) {
    this.log = new JobLog(options);
    this.#outcome = new Promise((resolve, reject) => {
      this.#settle = (outcome) => {
        if (outcome instanceof RpcError) reject(outcome);
        else resolve(outcome);
      };
    });
    this.#outcome.catch(() => {}); // Nobody may ask for it.
  }

  /** Aborted when the job shall stop. Its reason is a `JobCancelled`, or a `JobFailed` when it ran for too long. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The job as the scheduler and its client see it; owned by the caller. Call once. */
  capability(): Capability {
    return JobApi.local({
      log: (start, signal) => this.log.page(start, signal),
      result: () => this.#outcome,
      cancel: () => this.cancel(),
      release: () => {
        this.#released = true;
        this.cancel();
        this.#freeWhenUnused();
      },
    });
  }

  /** Asks the job to stop. Idempotent. */
  cancel(): void {
    this.stop(new JobCancelled());
  }

  /** Asks the job to stop because of `reason`. */
  stop(reason: JobCancelled | JobFailed): void {
    this.#controller.abort(reason);
  }

  /** Ends a job that never ran. */
  abandon(reason: RpcError): void {
    this.#end(reason);
  }

  /** Runs the job: `body` gives its output. Never rejects. */
  async run(body: () => Promise<string>): Promise<{ readonly end: JobEnd; readonly why?: string }> {
    try {
      const output = await body();
      this.log.append("Job succeeded");
      this.#end(output);
      return { end: "ok" };
    } catch (error) {
      // What a job says when it is stopped depends on where it was; what counts is that it was.
      const cause = this.signal.aborted ? this.signal.reason : error;
      if (cause instanceof JobCancelled) {
        this.log.append("Job cancelled");
        this.#end(new RpcError("failed", "Build cancelled"));
        return { end: "cancelled" };
      }
      if (cause instanceof JobFailed) {
        this.log.append(cause.message);
        this.#end(new RpcError("failed", "Build failed"));
        return { end: "fail", why: cause.message };
      }
      const why = exceptionText(cause);
      this.log.append(`Uncaught exception: ${why}`);
      this.#end(new RpcError("failed", "Internal error"));
      return { end: "error", why };
    }
  }

  #end(outcome: string | RpcError): void {
    this.log.close();
    this.#settle(outcome);
    this.#freeWhenUnused();
  }

  #freeWhenUnused(): void {
    if (!this.#released || !this.log.closed) return;
    void this.log.dispose();
    this.onGone();
  }
}
