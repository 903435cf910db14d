/**
 * Where people ask about jobs on record: a client about its own, an administrator about all.
 */
import type { JobRecords as Api, OutputLinks } from "../../api/index.js";
import { RpcError } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import type { Past } from "../jobs/types.js";
import type { RecordedJob } from "../state/job-records.js";
import type { PageQuery } from "../state/jobs-messages.js";
import type { ClientLimits } from "./client-limits.js";
import { checkContext } from "./context-desk.js";
import type { DurableJobs } from "./durable-jobs.js";
import { lookUp } from "./durable-submissions.js";
import type { LiveJobs } from "./live-jobs.js";
import { growingPage, logPage } from "./log-reader.js";
import { statesShownAs, viewOf } from "./record-view.js";

/** Records on one page: their texts are bounded, and a page has to fit into a message. */
const PAGE = 500;

/** The most that is given at once of files, in bytes. */
const OUTPUT_PART = 1024 * 1024;

/**
 * How many jobs one may wait for in `--after` that a page has, all records together: each is a
 * number of its own.
 */
const PAGE_AFTER = 100_000;

export class JobDesk implements Api.JobRecordsService, OutputLinks.OutputLinksService {
  /** The job whose files were read last, which need not be looked up for each part. */
  private readable: number | undefined;

  /** @param client whose jobs; null: everybody's */
  constructor(
    private readonly jobs: DurableJobs,
    private readonly limits: ClientLimits,
    private readonly client: string | null,
    /** Where attached jobs may be. */
    private readonly pools: ReadonlyMap<string, { readonly live: LiveJobs }>,
  ) {}

  async list(filter: Api.JobFilter, cursor: string, limit: number): Promise<Api.JobPage> {
    const { records, revisions } = this.jobs;
    const { batch, client, states, ...rest } = filter;
    if (this.client !== null && client !== undefined && client !== this.client) return NOTHING;
    if (batch !== undefined && !/^\d{1,15}$/.test(batch)) return NOTHING;
    const query: PageQuery = {
      ...rest,
      client: this.client ?? client,
      states: states && statesShownAs(states),
      batch: batch === undefined ? undefined : Number(batch),
      before: cursor === "" ? undefined : readCursor(cursor),
      limit: Math.min(limit || PAGE, PAGE),
    };
    const { before, jobs } = await records.page(query);
    const page: Api.JobRecord[] = [];
    let after = 0;
    for (const found of jobs) {
      after += found.job.options.after.length;
      if (after > PAGE_AFTER && page.length > 0) {
        return { jobs: page, cursor: String(page.at(-1)!.job) };
      }
      page.push(viewOf(found, revisions.glance(found.job.id), this.jobs));
    }
    return { jobs: page, cursor: before === null ? "" : String(before) };
  }

  async get(id: number, revision: number, signal: AbortSignal): Promise<Api.JobRecord> {
    const { revisions } = this.jobs;
    for (;;) {
      const current = revisions.of(id);
      const found = await this.find(id);
      if (current !== revision || found.job.ended !== null)
        return viewOf(found, current, this.jobs);
      await revisions.change(id, current, signal);
    }
  }

  async log(range: Api.LogRange, signal: AbortSignal): Promise<Api.AttemptLogChunk> {
    const { revisions } = this.jobs;
    for (;;) {
      const growing = growingPage(this.jobs, this.client, range, signal);
      if (growing) return growing;
      const current = revisions.of(range.job);
      const found = await this.find(range.job);
      const page = await logPage(this.jobs, found, range, signal);
      if (page) return page;
      // Its first attempt is yet to come.
      await revisions.change(range.job, current, signal);
    }
  }

  async cancelJob(id: number, reason: string): Promise<void> {
    const { book, records } = this.jobs;
    await this.jobs.whole;
    const who = this.client === null ? "an administrator" : "its client";
    const why = reason === "" ? `Cancelled by ${who}.` : reason;
    const active = book.job(id);
    if (!active) {
      for (const { live } of this.pools.values()) {
        if (await live.cancelAttached(id, this.client, why)) return;
      }
    }
    const isOurs = active && (this.client ?? active.client) === active.client;
    if (!isOurs) await this.find(id);
    book.cancel(id, why);
    await records.synced();
  }

  async retry(id: number): Promise<void> {
    const { active, book, records } = this.jobs;
    await this.jobs.whole;
    for (let past: Past = {}; ; ) {
      const { job } = await this.find(id);
      if (job.batch !== null) {
        const how = `ocluster-client batch retry ${job.batch} --key=${quoted(job.key)}`;
        throw new RpcError("failed", `Job ${id} is one of batch ${job.batch}: see ${how}`);
      }
      if (!this.pools.has(job.pool)) {
        throw new RpcError("failed", `There is no pool ${quoted(job.pool)} any more`);
      }
      if (job.options.context !== undefined) {
        await this.jobs.contexts.ready;
        checkContext(this.jobs.contexts, job.client, job.options.context);
      }
      const size = await records.descriptionSize(id);
      const refusal = active.refusal(job.client, size, this.limits);
      if (refusal) throw refusal;
      const result = book.retry(job, past);
      switch (result.kind) {
        case "refused":
          throw new RpcError("failed", result.reason);
        case "ask":
          past = await lookUp(this.jobs, job, result);
          break;
        case "again":
          active.enter(result.job, size);
          return records.synced();
      }
    }
  }

  async usage(since: number, until: number): Promise<readonly Api.ClientUsage[]> {
    const usage = await this.jobs.records.usage(since, until);
    return this.client === null ? usage : usage.filter(({ client }) => client === this.client);
  }

  async outputs(id: number, attempt: number): Promise<Api.KeptOutputs> {
    const { outputs } = this.jobs;
    await this.find(id);
    const which = attempt === 0 ? (outputs.newest(id) ?? 0) : attempt;
    return { attempt: which, size: outputs.size(id, which) };
  }

  async readOutputs({ attempt, job, limit, start }: Api.OutputRange): Promise<Uint8Array> {
    if (this.readable !== job) await this.find(job);
    this.readable = job;
    const length = Math.min(limit, OUTPUT_PART);
    const data = await this.jobs.outputs.read(job, attempt, start, length);
    if (data) return data;
    throw new RpcError(
      "failed",
      `The files of attempt ${attempt} of job ${job} are not kept (any more: --keep-outputs)`,
    );
  }

  async link(job: number, attempt: number): Promise<OutputLinks.OutputLink | undefined> {
    await this.find(job);
    return await this.jobs.outputs.link(job, attempt);
  }

  /** The record of a job. To a client, others' jobs do not exist. */
  private async find(id: number): Promise<RecordedJob> {
    const found = await this.jobs.records.job(id);
    if (!found || (this.client !== null && found.job.client !== this.client)) {
      throw new RpcError(
        "failed",
        this.client === null ? `There is no job ${id} on record` : `You have no job ${id}`,
      );
    }
    return found;
  }
}

const NOTHING: Api.JobPage = { jobs: [], cursor: "" };

function readCursor(cursor: string): number {
  if (!/^\d{1,15}$/.test(cursor)) {
    throw new RpcError(
      "failed",
      "The cursor is none of this scheduler's: begin with the first page",
    );
  }
  return Number(cursor);
}
