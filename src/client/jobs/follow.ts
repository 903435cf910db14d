/**
 * Follows a durable job: the logs of its attempts, one after the other, until it has ended.
 *
 * A follower remembers the attempt and the byte where it is. `run` may be called again with another
 * connection when one is lost, and goes on right there. To it, an attempt is
 *
 *     to be read ──its log ends──▶ read ──it has an outcome, and the job goes on──▶ told of
 */
import { type CallOptions, JobRecords } from "../../api/index.js";
import type { Capability } from "../../rpc/index.js";
import { hasEnded } from "./job-text.js";
import { type LogPosition, LogReader, type LogSink } from "./log-reader.js";

/** Who watches. */
export interface JobView {
  /** The job as it is now. */
  record(record: JobRecords.JobRecord): void;
  readonly log: LogSink;
  /** This attempt was not the last one. */
  again(attempt: JobRecords.AttemptRecord): void;
}

export class JobFollower {
  /** The last attempt of which all was read. */
  private read: number;
  /** The last attempt that the view knows not to have been the last. */
  private told: number;
  /** Of the first attempt that is not read. */
  private reader: LogReader | null;

  constructor(
    private readonly job: number,
    private readonly view: JobView,
    from: LogPosition = { attempt: 1, start: 0 },
  ) {
    this.read = this.told = from.attempt - 1;
    this.reader = new LogReader(job, from, view.log);
  }

  /**
   * Resolves to the job's record when it has ended, and all of its log was seen. Rejects with an
   * `RpcError`.
   */
  async run(records: Capability, options: CallOptions = {}): Promise<JobRecords.JobRecord> {
    let record = await JobRecords.get(records, this.job, 0, options);
    for (;;) {
      this.view.record(record);
      this.tellOfFurther(record);
      const next = record.attempts.find(({ attempt }) => attempt > this.read);
      if (next) {
        await this.readLog(next.attempt, records, options);
        record = await JobRecords.get(records, this.job, 0, options);
      } else if (hasEnded(record)) {
        return record;
      } else {
        record = await JobRecords.get(records, this.job, record.revision, options);
      }
    }
  }

  private async readLog(attempt: number, records: Capability, options: CallOptions): Promise<void> {
    if (this.reader?.attempt !== attempt) {
      this.reader = new LogReader(this.job, { attempt, start: 0 }, this.view.log);
    }
    await this.reader.readAll(records, { ...options, follow: true });
    this.read = attempt;
    this.reader = null;
  }

  private tellOfFurther(record: JobRecords.JobRecord): void {
    if (this.told >= this.read) return;
    const { attempts } = record;
    const last = attempts.find(({ attempt }) => attempt === this.read);
    const goesOn = !hasEnded(record) || attempts.some(({ attempt }) => attempt > this.read);
    if (!last || last.outcome === null || !goesOn) return;
    this.told = this.read;
    this.view.again(last);
  }
}
