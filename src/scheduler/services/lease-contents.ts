/**
 * What workers are told of the jobs that they are given: descriptions of many at once, and of a
 * batch's rows no descriptions at all, but values, with the template from which the worker makes
 * them, once for each worker that does not have it.
 */
import { BulkQueue } from "../../api/index.js";
import type { DurableJobs } from "./durable-jobs.js";
import type { LiveBatch } from "./live-batch.js";
import type { DurableRecord } from "./pool-job.js";

/** Bytes of one answer; one that is longer is given alone. */
export const ANSWER_BYTES = 8 * 1024 * 1024;

/** In its slot, no byte of a value becomes more than that. */
const LARGEST_ESCAPE = 8;

/** What the description of a row's job has besides its texts, as far as it is bounded here. */
const FRAME_BYTES = 4096;

type Content = BulkQueue.LeaseContent | string;

export class LeaseContents {
  /** Bytes that a row of a batch may have to be made by the worker. */
  private readonly most = new WeakMap<LiveBatch, number>();
  /** The batches whose rows are in the answer to come. */
  private readonly used = new Map<number, LiveBatch>();

  constructor(private readonly jobs: DurableJobs) {}

  /** For each job what it is, or in words why it cannot run. */
  async of(jobs: readonly DurableRecord[]): Promise<Content[]> {
    const single = jobs.filter(({ batch }) => batch === null).map(({ id }) => id);
    const described = single.length > 0 ? this.described(single) : NONE;
    const rows = await Promise.all(jobs.map((job) => (job.batch === null ? null : this.row(job))));
    const found = await described;
    return jobs.map(({ id }, index) => rows[index] ?? found.get(id) ?? GONE);
  }

  /** Bytes that the job takes in an answer; infinite if it is to be given alone. */
  sizeOf(job: DurableRecord): number {
    if (job.batch === null) return this.jobs.active.sizeOf(job.id);
    return this.rowBytes(job)?.length ?? Number.POSITIVE_INFINITY;
  }

  /** The templates of these rows that the worker does not have. */
  templates(
    leases: readonly BulkQueue.Lease[],
    known: readonly number[],
  ): BulkQueue.LeaseTemplate[] {
    const missing = new Map<number, Uint8Array>();
    for (const { content } of leases) {
      if (!("batch" in content)) continue;
      const { batch } = content;
      if (missing.has(batch) || known.includes(batch)) continue;
      missing.set(batch, BulkQueue.packTemplate(this.used.get(batch)!.made));
    }
    this.used.clear();
    return Array.from(missing, ([batch, content]) => ({ batch, content }));
  }

  private async described(ids: readonly number[]): Promise<ReadonlyMap<number, Content>> {
    try {
      const found = await this.jobs.records.manyDescriptions(ids);
      return new Map(
        Array.from(found, ([id, bytes]) => [
          id,
          typeof bytes === "string" ? unreadable(bytes) : { descr: bytes },
        ]),
      );
    } catch (error) {
      return new Map(ids.map((id) => [id, unreadable(error)]));
    }
  }

  private row(job: DurableRecord): Content | Promise<Content> {
    const row = this.rowBytes(job);
    if (!row) return this.describedRow(job);
    const { batch } = job;
    if (!this.used.has(batch!)) this.used.set(batch!, this.jobs.batches.get(batch!)!);
    return { batch: batch!, row };
  }

  /** The values of a row from which the worker can make its description. */
  private rowBytes(job: DurableRecord): Uint8Array | null {
    const { batches } = this.jobs;
    const batch = batches.get(job.batch!);
    if (!batch) return null;
    let most = this.most.get(batch);
    if (most === undefined) {
      most = this.mostOf(batch);
      this.most.set(batch, most);
    }
    const row = batches.rows.cachedBytes(batch.id, job.row!);
    return row && row.length <= most ? row : null;
  }

  /** One whose row has to be read, or looked at: it may be too long. */
  private async describedRow(job: DurableRecord): Promise<Content> {
    try {
      using descr = await this.jobs.batches.description(job);
      return { descr: descr.toBytes() };
    } catch (error) {
      return unreadable(error);
    }
  }

  /** Bytes of a row with which its description is no longer than it may be, whatever they are. */
  private mostOf({ made }: LiveBatch): number {
    const { buildArgs, hint, spec } = made.template;
    const slots = [spec, hint, ...buildArgs].flat().filter((piece) => typeof piece !== "string");
    // What is no UTF-8 becomes longer.
    const frame = FRAME_BYTES + 3 * BulkQueue.packTemplate(made).length;
    const room = this.jobs.batches.limits.jobBytes - frame;
    return Math.min(ANSWER_BYTES / 2, room / (LARGEST_ESCAPE * Math.max(1, slots.length)));
  }
}

const NONE = Promise.resolve(new Map<number, Content>());

const GONE = "Its description is not on record any more.";

function unreadable(why: unknown): string {
  return `Its description cannot be read (${why}): was the scheduler's key replaced? Submit the job again.`;
}
