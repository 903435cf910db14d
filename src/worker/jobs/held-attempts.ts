/**
 * The attempts at durable jobs that this worker has: those that run or have ended, and those that
 * an earlier process of it had when it was killed.
 *
 *     STATE/attempts/journal             which there are, and how they ended
 *     STATE/attempts/JOB-ATTEMPT-….log   their logs, but for short ones
 *     STATE/attempts/JOB-ATTEMPT-….files what they hand over of their results
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DurableQueue } from "../../api/index.js";
import { sleep } from "../../async/index.js";
import { logger } from "../../console/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import { makePrivateDirectory } from "../files.js";
import type { WorkerMetrics } from "../metrics.js";
import type { Gate } from "../session.js";
import { type AttemptId, AttemptJournal, type Entry, keyOf } from "./attempt-journal.js";
import {
  type AttemptShelf,
  DurableAttempt,
  filesName,
  labelOf,
  logName,
} from "./durable-attempt.js";
import type { Job } from "./job.js";

const log = logger("worker");

/** ms until a journal that cannot be written is tried again. */
const RETRY_MS = 10_000;

const JOURNAL = "journal";

export interface HeldAttemptsOptions {
  /** The worker's. */
  readonly stateDir: string;
  readonly metrics: WorkerMetrics;
  /** Called when there is one less. */
  readonly onForgotten: () => void;
  /** ms until a journal that cannot be written is tried again. Default: 10,000. */
  readonly retryMs?: number;
}

export class HeldAttempts {
  readonly #attempts = new Map<string, DurableAttempt>();
  /** Those that were killed with their process, until a scheduler has been told. */
  readonly #crashed = new Map<string, AttemptId>();
  readonly #directory: string;
  /** Why the journal could not be written last. */
  #broken: Error | undefined;

  private constructor(
    private readonly options: HeldAttemptsOptions,
    private readonly journal: AttemptJournal,
  ) {
    this.#directory = directoryIn(options.stateDir);
  }

  /**
   * Opens what an earlier process has left, and removes what belongs to nothing. Rejects with the
   * system's error.
   */
  static async open(options: HeldAttemptsOptions): Promise<HeldAttempts> {
    const directory = directoryIn(options.stateDir);
    makePrivateDirectory(directory);
    const { entries, journal } = await AttemptJournal.open(join(directory, JOURNAL));
    const held = new HeldAttempts(options, journal);
    for (const entry of entries) await held.#restore(entry);
    const known = new Set(
      [...held.#attempts.values()].flatMap(({ id }) => [logName(id), filesName(id)]),
    );
    for (const name of await readdir(directory)) {
      if (name !== JOURNAL && !known.has(name)) await rm(join(directory, name), { force: true });
    }
    held.#count();
    return held;
  }

  /** How many there are that a scheduler may still ask for. */
  get size(): number {
    return this.#attempts.size;
  }

  /**
   * Takes over a job that was assigned as an attempt. Throws an `RpcError` if that very attempt is
   * here already.
   */
  assign(job: Job, assignment: DurableQueue.DurableAssignment): DurableAttempt {
    const id = {
      book: Buffer.from(assignment.book).toString("hex"),
      job: assignment.job,
      attempt: assignment.attempt,
    };
    if (this.#attempts.has(keyOf(id))) {
      throw new RpcError("failed", `This worker has job ${labelOf(id)} already`);
    }
    const attempt = DurableAttempt.assigned(id, assignment, job, this.#shelf);
    this.#attempts.set(keyOf(id), attempt);
    this.#count();
    return attempt;
  }

  /** The connection is lost by which they were assigned, or told of. */
  outOfTouch(): void {
    for (const attempt of this.#attempts.values()) attempt.outOfTouch();
  }

  /**
   * Tells a scheduler of all of them, and does as it says; resolves when it has said so. To be
   * called before it is asked for jobs. Rejects with an `RpcError` if the scheduler cannot be asked
   * now.
   */
  async resume(queue: Capability): Promise<void> {
    const attempts = [...this.#attempts.values()];
    const crashed = [...this.#crashed.values()];
    if (attempts.length + crashed.length === 0) return;
    await Promise.all([
      ...attempts.map((attempt) => this.#resume(queue, attempt)),
      ...crashed.map((id) => this.#report(queue, id)),
    ]);
  }

  /** Asks for no jobs while an attempt could not be written down. */
  readonly gate: Gate = {
    pass: async (queue, signal) => {
      if (!this.#broken) return;
      await queue.setActive(false);
      while (this.#broken) {
        log.warn(
          `Cannot write to "${this.#directory}", where jobs are kept: ${this.#broken.message}. ` +
            "Will take no jobs until that is put right",
        );
        await sleep(this.options.retryMs ?? RETRY_MS, signal);
        await this.#write(() => this.journal.sync()).catch(() => {});
      }
      await queue.setActive(true);
    },
  };

  /**
   * Resolves when all is on disk that can be. Those that there are stay there, for the next start.
   */
  async close(): Promise<void> {
    for (const attempt of this.#attempts.values()) attempt.inTouch();
    await this.journal.close();
  }

  readonly #shelf: AttemptShelf = {
    write: (entry) => this.#write(() => this.journal.write(entry)),
    logPath: (id) => join(this.#directory, logName(id)),
    filesPath: (id) => join(this.#directory, filesName(id)),
    onForgotten: ({ id }) => {
      this.#attempts.delete(keyOf(id));
      this.#count();
      this.options.onForgotten();
    },
  };

  async #write(write: () => Promise<void>): Promise<void> {
    try {
      await write();
      this.#broken = undefined;
    } catch (error) {
      this.#broken = error as Error;
      throw error;
    }
  }

  #count(): void {
    this.options.metrics.durableAttempts.set(this.#attempts.size);
  }

  async #restore(entry: Entry): Promise<void> {
    const { attempt: number, book, job } = entry;
    if (entry.state === "ended") {
      try {
        const attempt = await DurableAttempt.kept(entry, this.#shelf);
        this.#attempts.set(keyOf(entry), attempt);
        log.info(`Job ${attempt.label} has ended before the worker did: ${entry.ending.cause}`);
        return;
      } catch (error) {
        log.warn(`Cannot read the log of job ${labelOf(entry)}: ${(error as Error).message}`);
      }
    }
    this.#crashed.set(keyOf(entry), { book, job, attempt: number });
    log.warn(`Job ${labelOf(entry)} was ended with the worker's last process`);
  }

  async #resume(queue: Capability, attempt: DurableAttempt): Promise<void> {
    const { id, job, label, state } = attempt;
    const verdict = await this.#ask(queue, id, state, job.capability());
    if (verdict === "goOn") {
      log.info(`Job ${label} goes on (${state})`);
      attempt.inTouch();
    } else if (verdict === "stop") {
      log.info(`Job ${label} was given up by the scheduler: it is stopped`);
      attempt.giveUp();
    }
  }

  /** Tells of one that has crashed; there is nothing more to be done about it. */
  async #report(queue: Capability, id: AttemptId): Promise<void> {
    const verdict = await this.#ask(queue, id, "crashed", null);
    if (verdict === undefined) return;
    this.#crashed.delete(keyOf(id));
    await this.#shelf.write({ ...id, state: "forgotten" }).catch(() => {});
  }

  /** Undefined if this scheduler has no answer: the next one may. Takes `run`. */
  async #ask(
    queue: Capability,
    { attempt, book, job }: AttemptId,
    state: DurableQueue.HeldAttempt["state"],
    run: Capability | null,
  ): Promise<DurableQueue.Verdict | undefined> {
    try {
      const held = { book: Buffer.from(book, "hex"), job, attempt, state, run };
      const verdict = await DurableQueue.resume(queue, held);
      this.options.metrics.durableResumed.inc({ verdict: verdict === "goOn" ? "go on" : verdict });
      return verdict;
    } catch (error) {
      const { kind, message } = RpcError.from(error);
      if (kind !== "unimplemented" && kind !== "failed") throw error;
      const why =
        kind === "unimplemented" ? "it does not know durable jobs" : `it says: ${message}`;
      log.warn(`The scheduler does not take job ${labelOf({ book, job, attempt })} back: ${why}`);
      return undefined;
    }
  }
}

function directoryIn(stateDir: string): string {
  return join(stateDir, "attempts");
}
