/**
 * Jobs on record as all see them who look: asked for once for everybody who asks the same.
 */
import { JobRecords } from "../../api/index.js";
import { sleep } from "../../async/index.js";
import { jobFields } from "../../client/index.js";
import type { AgedCache } from "./aged-cache.js";
import type { Cluster } from "./cluster.js";
import { WEB_LIMITS } from "./limits.js";

type JobRecord = JobRecords.JobRecord;

/** How old a job may be that is shown, and a page of jobs, in ms. */
const JOB_AGE_MS = 500;
const PAGE_AGE_MS = 1500;

/** Between two looks at a page that somebody watches. */
const LOOK_MS = 2000;

/** Records that are asked for at a time where a text is looked for. */
const AT_A_TIME = 500;

/** A text that a page's jobs have, and what the scheduler looks for. */
export interface JobQuery {
  readonly filter: JobRecords.JobFilter;
  /** In lower case. */
  readonly text: string | undefined;
  readonly cursor: string;
  readonly limit: number;
}

export interface JobsPage {
  readonly jobs: readonly JobRecord[];
  /** Null: there are no more. */
  readonly cursor: string | null;
  readonly scanned: number;
}

export class Jobs {
  constructor(
    private readonly cluster: Cluster,
    private readonly cache: AgedCache,
  ) {}

  get(job: number): Promise<JobRecord> {
    return this.cache.get(`job ${job}`, JOB_AGE_MS, () => this.now(job), sizeOf);
  }

  /** As it is at this moment. */
  now(job: number): Promise<JobRecord> {
    return this.cluster.ask((records) => JobRecords.get(records, job));
  }

  /** As soon as it has another revision. */
  changed(job: number, revision: number, signal: AbortSignal): Promise<JobRecord> {
    return this.cluster.wait((records) => JobRecords.get(records, job, revision, { signal }));
  }

  /** Tells of each new state of a job, until it has ended or `signal` is aborted. */
  async follow(job: number, say: (job: unknown) => void, signal: AbortSignal): Promise<void> {
    for (let record = await this.now(job); ; ) {
      say(jobFields(record));
      // A retry gives it another life, but seldom: then it is looked at now and then.
      if (record.ended === null) record = await this.changed(job, record.revision, signal);
      else {
        await sleep(LOOK_MS * 5, signal);
        record = await this.get(job);
      }
    }
  }

  page(query: JobQuery): Promise<JobsPage> {
    const key = `jobs ${JSON.stringify(query)}`;
    const size = ({ jobs }: JobsPage) => jobs.reduce((sum, job) => sum + sizeOf(job), 0);
    return this.cache.get(key, PAGE_AGE_MS, () => this.pageNow(query), size);
  }

  /** Tells of each new state of the first page, until `signal` is aborted. */
  async watchPage(
    query: JobQuery,
    say: (page: unknown) => void,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      say(pageJson(await this.page(query)));
      await sleep(LOOK_MS, signal);
    }
  }

  private async pageNow({ cursor, filter, limit, text }: JobQuery): Promise<JobsPage> {
    if (text === undefined) {
      const page = await this.list(filter, cursor, limit);
      return { jobs: page.jobs, cursor: page.cursor || null, scanned: page.jobs.length };
    }
    const jobs: JobRecord[] = [];
    let scanned = 0;
    for (let next = cursor; ; ) {
      const page = await this.list(filter, next, AT_A_TIME);
      for (const [index, job] of page.jobs.entries()) {
        if (!hasText(job, text)) continue;
        jobs.push(job);
        if (jobs.length < limit) continue;
        const isLast = index === page.jobs.length - 1;
        const more = isLast ? page.cursor || null : String(job.job);
        return { jobs, cursor: more, scanned: scanned + index + 1 };
      }
      scanned += page.jobs.length;
      next = page.cursor;
      if (next === "" || scanned >= WEB_LIMITS.scannedJobs)
        return { jobs, cursor: next || null, scanned };
    }
  }

  private list(filter: JobRecords.JobFilter, cursor: string, limit: number) {
    return this.cluster.ask(
      (records) => JobRecords.list(records, { filter, cursor, limit }),
      "conflict",
    );
  }
}

export function pageJson({ cursor, jobs, scanned }: JobsPage) {
  return { jobs: jobs.map(jobFields), cursor, scanned };
}

function hasText({ hint, job, options, reason }: JobRecord, text: string): boolean {
  return [options.name, options.key, hint, reason, String(job)].some((one) =>
    one.toLowerCase().includes(text),
  );
}

/** Characters, roughly. */
function sizeOf(job: JobRecord): number {
  const { attempts, hint, options, output, reason } = job;
  return (
    600 + hint.length + options.name.length + reason.length + output.length + 300 * attempts.length
  );
}
