/**
 * Logs as they are looked at: an index of each that somebody looks at, and of those that were
 * looked at lately.
 */
import { JobRecords } from "../../api/index.js";
import { sleep } from "../../async/index.js";
import type { Cluster } from "./cluster.js";
import { ApiError } from "./errors.js";
import type { Jobs } from "./jobs.js";
import { LogBlocks } from "./log-blocks.js";
import { LogIndex } from "./log-index.js";
import { findInLog, type LogQuestion } from "./log-search.js";
import { logLines } from "./log-window.js";
import { Turnstile } from "./turnstile.js";

/** Logs that have an index: 8192 entries of some 100 bytes each, at most. */
const MAX_INDEXES = 64;

/** Indexes that are made at a time. */
const AT_A_TIME = 2;

/** For how long somebody waits for an index that is being made, in ms. */
const PATIENCE_MS = 5000;

/** Between two looks at a log that grows, in ms. */
const PAUSE_MS = 250;

export class Logs {
  private readonly blocks: LogBlocks;
  private readonly indexes = new Map<string, LogIndex>();
  private readonly making = new Turnstile(AT_A_TIME, MAX_INDEXES);

  constructor(
    private readonly cluster: Cluster,
    private readonly jobs: Jobs,
  ) {
    this.blocks = new LogBlocks(cluster);
    cluster.onChange((isTheSame) => {
      if (!isTheSame) this.indexes.clear();
    });
  }

  /** Lines from `from` on; negative: from the end. Rejects with an `ApiError`. */
  async lines(job: number, attempt: number, from: number, count: number) {
    const index = await this.index(job, attempt);
    if (!index) return { ...noLog(job), from: 0, lines: [], cut: [], open: false, sgr: "" };
    await this.until(index, () => from >= 0 && index.lines >= from + count);
    const first = Math.min(from < 0 ? Math.max(0, index.lines + from) : from, index.lines);
    const window = await logLines(this.blocks, index, first, count);
    const { cut, lines, open, sgr } = window;
    return { ...stateOf(index), from: first, lines, cut, open, sgr };
  }

  async find(job: number, attempt: number, question: LogQuestion) {
    const index = await this.index(job, attempt);
    if (!index) return { job, attempt: 0, matches: [], next: null, total: 0 };
    await this.until(index, () => false);
    const from = Math.min(question.from, Math.max(0, index.lines - 1));
    const found = await findInLog(this.blocks, index, { ...question, from });
    return { ...index.name, ...found, total: index.lines };
  }

  async steps(job: number, attempt: number) {
    const index = await this.index(job, attempt);
    if (!index) return { job, attempt: 0, steps: [], complete: false };
    await this.until(index, () => false);
    const { complete } = stateOf(index);
    return { ...index.name, steps: index.steps.steps, complete };
  }

  /** Tells how far a log has come, until it is whole or `signal` is aborted. */
  async follow(
    job: number,
    wanted: number,
    say: (state: unknown) => void,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      const record = await this.jobs.now(job);
      if (record.attached) throw ATTACHED;
      const attempt = attemptOf(record.attempts, wanted);
      if (!attempt) {
        if (wanted !== 0) throw noAttempt(job, wanted);
        say(noLog(job));
        if (record.ended !== null) return;
        await this.jobs.changed(job, record.revision, signal);
        continue;
      }
      const index = this.indexOf(job, attempt.attempt);
      index.update(attempt.logSize, attempt.outcome !== null);
      await this.make(index);
      say(stateOf(index));
      if (attempt.outcome !== null) {
        if (wanted !== 0) return;
        // Somebody may try it again.
        if (record.ended !== null) await sleep(PAUSE_MS * 40, signal);
        else await this.jobs.changed(job, record.revision, signal);
      } else {
        const range = { job, attempt: attempt.attempt, start: index.size, follow: true };
        await this.cluster.wait((records) => JobRecords.log(records, range, { signal }));
      }
      await sleep(PAUSE_MS, signal);
    }
  }

  /** The attempt and the size of its log; attempt 0 is the newest. Rejects with an `ApiError`. */
  async whole(job: number, wanted: number) {
    const { attached, attempts } = await this.jobs.get(job);
    if (attached) throw ATTACHED;
    let attempt = attemptOf(attempts, wanted);
    if (!attempt && wanted !== 0) {
      // Who asks may have been told of it a moment ago, and what is at hand is older.
      attempt = attemptOf((await this.jobs.now(job)).attempts, wanted);
      if (!attempt) throw noAttempt(job, wanted);
    }
    if (!attempt) return null;
    return { attempt: attempt.attempt, size: attempt.logSize, isWhole: attempt.outcome !== null };
  }

  /** Null: it has no attempt yet. */
  private async index(job: number, wanted: number): Promise<LogIndex | null> {
    const found = await this.whole(job, wanted);
    if (!found) return null;
    const index = this.indexOf(job, found.attempt);
    index.update(found.size, found.isWhole);
    return index;
  }

  private indexOf(job: number, attempt: number): LogIndex {
    const key = `${job}/${attempt}`;
    const index = this.indexes.get(key) ?? new LogIndex({ job, attempt }, this.blocks);
    this.indexes.delete(key);
    this.indexes.set(key, index);
    if (this.indexes.size > MAX_INDEXES) {
      const [oldest] = this.indexes.keys();
      this.indexes.delete(oldest!);
    }
    return index;
  }

  private async make(index: LogIndex): Promise<void> {
    if (!index.isCurrent) await this.making.run(() => index.advance());
  }

  /** Waits for the index; not for ever, and not if it is `enough`. */
  private async until(index: LogIndex, enough: () => boolean): Promise<void> {
    let isMade = false;
    const made = this.make(index).then(() => {
      isMade = true;
    });
    made.catch(() => {}); // Nobody may wait for its end.
    const deadline = performance.now() + PATIENCE_MS;
    while (!isMade && !enough() && performance.now() < deadline) {
      await Promise.race([made, sleep(LOOK_MS)]);
    }
  }
}

/** Between looks at how far an index has come, in ms. */
const LOOK_MS = 20;

/** 0 is the newest. */
function attemptOf(attempts: readonly JobRecords.AttemptRecord[], wanted: number) {
  return wanted === 0 ? attempts.at(-1) : attempts.find((one) => one.attempt === wanted);
}

function stateOf(index: LogIndex) {
  const { isCurrent, isWhole, lines, name, size } = index;
  return { ...name, total: lines, size, complete: isCurrent && isWhole };
}

function noLog(job: number) {
  return { job, attempt: 0, total: 0, size: 0, complete: false };
}

const ATTACHED = new ApiError(
  "not_found",
  "The job was attached to its client, who has its log: only those of durable jobs are kept.",
);

function noAttempt(job: number, attempt: number): ApiError {
  return new ApiError("not_found", `Job ${job} has no attempt ${attempt}.`);
}
