/**
 * An attempt at a durable job, from its assignment until it is forgotten. Its states:
 *
 * - *beginning*: it is being written into the journal. The job does not run before it is there.
 * - *running*: the job runs, whether or not there is a scheduler.
 * - *ended*: end and log are being written, or on disk; the scheduler may learn of it.
 * - *forgotten*: nothing of it is on disk any more. A job that still runs is being stopped, and
 *   nobody will learn how it ended.
 *
 * What leads to *forgotten*: the scheduler has log and end on disk (`settled`); it has said that it
 * gave the attempt up, with `Job.cancel` and then its reference, or when it was told of it on a new
 * connection; or the job runs, and there has been no scheduler for so long that it must have been
 * given up.
 *
 * Apart from that it is *in touch* or *out of touch*: the connection that it was given or told of
 * by is there, or lost. Only a scheduler that says that it goes on brings it back in touch, so that
 * connections that come and go prolong nothing.
 */
import { type FileHandle, open, rm } from "node:fs/promises";
import type { DurableQueue, OutputUpload } from "../../api/index.js";
import { alarm } from "../../async/index.js";
import { logger } from "../../console/index.js";
import { isOutOfSpace } from "../../obuilder/index.js";
import { OpenFiles } from "../../system/index.js";
import { JobEvicted } from "../failure.js";
import { JobLog } from "../log/job-log.js";
import { openNamed } from "../log/log-file.js";
import { OutputCapture, type TakenFiles } from "../outputs/output-capture.js";
import { putPart } from "../outputs/put-part.js";
import { type AttemptId, type Entry, keyOf, type StoredLog } from "./attempt-journal.js";
import type { Ending } from "./ending.js";
import { Job } from "./job.js";
import type { Keeper } from "./keeper.js";

const log = logger("worker");

/** What attempts have in common. */
export interface AttemptShelf {
  /** Resolves when that is on disk; rejects with the system's error. */
  write(entry: Entry): Promise<void>;
  /** Where the log of an attempt goes if it is no short one. */
  logPath(id: AttemptId): string;
  /** Where the stream of the files goes that an attempt hands over. */
  filesPath(id: AttemptId): string;
  /** The attempt is forgotten. */
  onForgotten(attempt: DurableAttempt): void;
}

/** The longest log, in bytes, that needs no file of its own. */
const SHORT = 16 * 1024;

/** The most that is given at once of files, in bytes. */
const LARGEST_PART = 1024 * 1024;

export class DurableAttempt implements Keeper {
  readonly atWorkersEnd = "evicted";
  readonly job: Job;
  /** `17 (attempt 2)` */
  readonly label: string;
  /** Takes the files that are to be handed over, if there are any. */
  readonly capture: OutputCapture | undefined;
  /** The job has ended, and what can be kept of it is kept. */
  #isKept = false;
  #isForgotten = false;
  #isCancelled = false;
  #callOff: (() => void) | undefined;
  readonly #files = new OpenFiles();

  private constructor(
    readonly id: AttemptId,
    private readonly reattach: number,
    private readonly shelf: AttemptShelf,
    job: (attempt: DurableAttempt) => Job,
    capture?: OutputCapture,
  ) {
    this.capture = capture;
    this.label = labelOf(id);
    this.job = job(this);
  }

  /**
   * What a job is given as by the scheduler; it is not on disk before the job is run with this as
   * its keeper.
   */
  static assigned(
    id: AttemptId,
    { outputLimit = 0, outputs, reattach }: DurableQueue.DurableAssignment,
    job: Job,
    shelf: AttemptShelf,
  ): DurableAttempt {
    const capture =
      outputs && new OutputCapture(outputs, outputLimit, shelf.filesPath(id), job.log);
    return new DurableAttempt(id, reattach, shelf, () => job, capture);
  }

  /**
   * What an earlier process has kept. Rejects with the system's error if the log cannot be read.
   */
  static async kept(
    entry: Entry & { readonly state: "ended" },
    shelf: AttemptShelf,
  ): Promise<DurableAttempt> {
    const { attempt, book, ending, job, log: stored } = entry;
    const id = { book, job, attempt };
    const jobLog = await openLog(stored, shelf.logPath(id));
    const kept = new DurableAttempt(id, Number.POSITIVE_INFINITY, shelf, (keeper) =>
      Job.ended(jobLog, ending, keeper),
    );
    kept.#isKept = true;
    return kept;
  }

  /** As the scheduler is told of it. */
  get state(): "running" | "ended" {
    return this.#isKept ? "ended" : "running";
  }

  /** Its connection is lost. What has ended waits for the next one, for as long as it takes. */
  outOfTouch(): void {
    if (this.#isKept) return;
    this.#callOff ??= alarm(this.reattach * 1000, () => {
      if (this.#isKept) return;
      log.warn(
        `Job ${this.label} is given up: there was no scheduler for ${this.reattach} s that would have let it go on`,
      );
      this.giveUp();
    });
  }

  /** A scheduler has said that it goes on. */
  inTouch(): void {
    this.#callOff?.();
    this.#callOff = undefined;
  }

  /** Stops it if it runs, and forgets it. Idempotent. */
  giveUp(): void {
    this.job.cancel();
    this.#forget();
  }

  async begin(): Promise<void> {
    try {
      await this.shelf.write({ ...this.id, state: "running" });
    } catch (error) {
      if (isOutOfSpace(error)) throw error;
      const { message } = error as Error;
      throw new JobEvicted(`the worker cannot write it down (${message})`, { cause: error });
    }
  }

  openLogFile(): Promise<FileHandle> {
    return openNamed(this.shelf.logPath(this.id));
  }

  takenFiles(): TakenFiles | undefined {
    return this.capture?.taken;
  }

  async readFiles(start: number, limit: number): Promise<Uint8Array> {
    const data = Buffer.allocUnsafeSlow(Math.min(limit, LARGEST_PART));
    const bytesRead = await this.#files.read(this.shelf.filesPath(this.id), data, start);
    return data.subarray(0, bytesRead);
  }

  putFiles(part: OutputUpload.PartToPut): Promise<OutputUpload.PutAnswer> {
    return putPart(this.shelf.filesPath(this.id), part);
  }

  /**
   * If the disk takes no more the scheduler still learns how it ended, unless the worker ends
   * before.
   */
  async keep(ending: Ending): Promise<void> {
    this.inTouch();
    if (!this.#isForgotten) await this.#store(ending);
    this.#isKept = true;
    if (this.#isForgotten) await this.#remove();
    else this.#forgetIfGivenUp();
  }

  cancelled(): void {
    this.#isCancelled = true;
    this.#forgetIfGivenUp();
  }

  released(): void {
    this.#forgetIfGivenUp();
  }

  settled(): void {
    if (this.#isKept) this.#forget();
  }

  async #store(ending: Ending): Promise<void> {
    try {
      const stored = await storeLog(this.job.log);
      await this.shelf.write({ ...this.id, state: "ended", ending, log: stored });
    } catch (error) {
      log.warn(`Cannot store how job ${this.label} ended: ${(error as Error).message}`);
    }
  }

  #forgetIfGivenUp(): void {
    if (this.#isCancelled && this.#isKept && !this.job.isReferredTo) this.#forget();
  }

  #forget(): void {
    if (this.#isForgotten) return;
    this.#isForgotten = true;
    this.inTouch();
    // If that is lost, the attempt is told of once more, and given up once more.
    void this.shelf.write({ ...this.id, state: "forgotten" }).catch(() => {});
    this.shelf.onForgotten(this);
    if (this.#isKept) void this.#remove();
  }

  async #remove(): Promise<void> {
    this.job.free();
    this.#files.close();
    await rm(this.shelf.logPath(this.id), { force: true });
    await rm(this.shelf.filesPath(this.id), { force: true });
  }
}

/** `17 (attempt 2)` */
export function labelOf({ attempt, job }: AttemptId): string {
  return `${job} (attempt ${attempt})`;
}

/** A name for the file of an attempt's log. */
export function logName(id: AttemptId): string {
  return `${keyOf(id)}.log`;
}

/** A name for the file with the stream of files that an attempt hands over. */
export function filesName(id: AttemptId): string {
  return `${keyOf(id)}.files`;
}

/** Sees to it that a log that is complete outlives the process. */
async function storeLog(jobLog: JobLog): Promise<StoredLog> {
  const contents = jobLog.length <= SHORT ? jobLog.contents() : null;
  if (contents) return { text: Buffer.from(contents).toString("base64") };
  await jobLog.store();
  return { size: jobLog.length };
}

async function openLog(stored: StoredLog, path: string): Promise<JobLog> {
  if ("size" in stored) return JobLog.stored(await open(path, "r"), stored.size);
  const jobLog = new JobLog({ openFile: () => openNamed(path) });
  jobLog.write(Buffer.from(stored.text, "base64"));
  jobLog.close();
  return jobLog;
}
