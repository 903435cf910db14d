/**
 * One job of this worker, from the offer to its end. Its states:
 *
 * - *offered*: its capability went to the scheduler with a request for work; there is nothing to
 *   run yet. Whoever reads its log waits.
 * - *running*: the request was answered. `stop` aborts its signal; it still runs until it has
 *   cleaned up.
 * - *ended*: the log is complete, then the end is known. Both stay until it is gone.
 * - *gone*: its keeper says that nobody will ever ask for anything of it.
 *
 * An offered job whose request failed, or was taken back, is ended at once. An offered job is
 * attached: a job whose keeper is the connection that it came by, so that it is cancelled when
 * nobody refers to it. With the answer it may get another keeper.
 */
import { DurableJob, Job as JobApi, OutputUpload } from "../../api/index.js";
import { deferred } from "../../async/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import { JobCancelled, JobEvicted, type JobFailed } from "../failure.js";
import { JobLog } from "../log/job-log.js";
import { openNameless } from "../log/log-file.js";
import { type Ending, endingBy, lastLine, resultOf, success } from "./ending.js";
import type { Keeper } from "./keeper.js";

export interface JobOptions {
  /** Where the log is put that outgrows memory, if it need not outlive the process. */
  readonly directory: string;
  /** Bytes of output after which the log is cut. */
  readonly maxSize?: number;
}

export class Job {
  readonly log: JobLog;
  readonly #onGone: () => void;
  readonly #controller = new AbortController();
  readonly #begun = deferred();
  readonly #ended = deferred<Ending>();
  #keeper: Keeper;
  #references = 0;

  private constructor(log: (job: Job) => JobLog, keeper: (job: Job) => Keeper, onGone: () => void) {
    this.log = log(this);
    this.#keeper = keeper(this);
    this.#onGone = onGone;
    // Nobody may ask for them.
    this.#begun.promise.catch(() => {});
    this.#ended.promise.catch(() => {});
  }

  /** A job to offer. `onGone` is called when it is gone. */
  static offered({ directory, maxSize }: JobOptions, onGone: () => void = () => {}): Job {
    return new Job(
      (job) =>
        new JobLog({
          openFile: () => job.#keeper.openLogFile(),
          ...(maxSize !== undefined && { maxSize }),
        }),
      (job) => new Attachment(job, directory),
      onGone,
    );
  }

  /** A job that an earlier process has run to its end. */
  static ended(log: JobLog, ending: Ending, keeper: Keeper): Job {
    const job = new Job(
      () => log,
      () => keeper,
      () => {},
    );
    job.#begun.resolve();
    job.#ended.resolve(ending);
    return job;
  }

  /**
   * Aborted when the job shall stop. Its reason is a `JobCancelled`, a `JobEvicted`, or a
   * `JobTimedOut`.
   */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isReferredTo(): boolean {
    return this.#references > 0;
  }

  /**
   * The job as the scheduler and its client see it; owned by the caller. One for each connection.
   */
  capability(): Capability {
    this.#references++;
    return JobApi.local(
      {
        log: (start, signal) => this.log.page(start, signal),
        result: async () => resultOf(await this.#ended.promise),
        cancel: () => {
          this.cancel();
          this.#keeper.cancelled();
        },
        release: () => {
          if (--this.#references === 0) this.#keeper.released();
        },
      },
      [
        ...DurableJob.durableJobMethods({
          begun: () => this.#begun.promise,
          outcome: async () => {
            const { cause, files, output, reason } = await this.#ended.promise;
            const outputs = files && {
              size: files.size,
              sha256: Buffer.from(files.sha256, "hex"),
            };
            return { cause, output, reason, logSize: this.log.length, outputs };
          },
          settled: () => this.#keeper.settled(),
          readOutputs: async (start, limit) => {
            await this.#ended.promise;
            return this.#keeper.readFiles(start, limit);
          },
        }),
        ...OutputUpload.outputUploadMethods({
          put: async (part) => {
            await this.#ended.promise;
            return this.#keeper.putFiles(part);
          },
        }),
      ],
    );
  }

  /** Asks the job to stop. Idempotent. */
  cancel(): void {
    this.stop(new JobCancelled());
  }

  /** Asks the job to stop because of `reason`. */
  stop(reason: JobCancelled | JobEvicted | JobFailed): void {
    this.#controller.abort(reason);
  }

  /** Asks the job to stop because the worker does. */
  stopWithWorker(): void {
    this.stop(this.#keeper.atWorkersEnd === "evicted" ? new JobEvicted() : new JobCancelled());
  }

  /** Ends a job that never ran. */
  abandon(reason: RpcError): void {
    this.log.close();
    this.#begun.reject(reason);
    this.#ended.reject(reason);
    this.#keeper.keep(endingBy(reason));
  }

  /**
   * Ends a job that never ran, as its request was taken back. The scheduler may have answered at
   * that moment: to it, the job is given back, which is nobody's fault.
   */
  withdraw(): void {
    const evicted = new JobEvicted("the worker takes no more jobs");
    this.log.close();
    this.#begun.reject(RpcError.from(evicted));
    this.#ended.resolve(endingBy(evicted));
    this.#keeper.keep(endingBy(evicted));
  }

  /**
   * Runs the job: `body` gives its output. Before, a `keeper` may take it over from the connection.
   * Resolves when the end is kept and known; never rejects.
   */
  async run(body: () => Promise<string>, keeper = this.#keeper): Promise<Ending> {
    this.#keeper = keeper;
    const end = await this.#end(body);
    const files =
      end.cause === "cancelled" || end.cause === "evicted" ? undefined : this.#keeper.takenFiles();
    const ending = files ? { ...end, files } : end;
    this.#begun.resolve(); // If it has not begun its end says why.
    this.log.append(lastLine(ending));
    this.log.close();
    await this.#keeper.keep(ending);
    this.#ended.resolve(ending);
    return ending;
  }

  async #end(body: () => Promise<string>): Promise<Ending> {
    try {
      await this.#keeper.begin();
      this.#begun.resolve();
      return success(await body());
    } catch (error) {
      // What a job says when it is stopped depends on where it was; what counts is that it was.
      return endingBy(this.signal.aborted ? this.signal.reason : error);
    }
  }

  /** Nobody will ask for anything of it. The job must have ended. */
  free(): void {
    void this.log.dispose();
    this.#onGone();
  }
}

/**
 * The keeper of a job that belongs to a connection: it goes when nobody refers to it. One that is
 * only offered is not cancelled then: the connection may have ended with the answer that gives it
 * another keeper.
 */
class Attachment implements Keeper {
  readonly atWorkersEnd = "cancelled";
  #begun = false;
  #released = false;
  #ended = false;

  constructor(
    private readonly job: Job,
    private readonly directory: string,
  ) {}

  async begin(): Promise<void> {
    this.#begun = true;
    if (this.#released) this.job.cancel();
  }

  openLogFile() {
    return openNameless(this.directory);
  }

  takenFiles(): undefined {}

  async readFiles(): Promise<Uint8Array> {
    return new Uint8Array();
  }

  putFiles(): Promise<never> {
    return Promise.reject(new RpcError("failed", "This job hands over no files"));
  }

  async keep(): Promise<void> {
    this.#ended = true;
    this.#freeWhenUnused();
  }

  cancelled(): void {}

  released(): void {
    this.#released = true;
    if (this.#begun) this.job.cancel();
    this.#freeWhenUnused();
  }

  settled(): void {}

  #freeWhenUnused(): void {
    if (this.#released && this.#ended) this.job.free();
  }
}
