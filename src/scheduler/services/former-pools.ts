/**
 * Pools that the scheduler does not have any more (`--pools`), as they were renamed or given up,
 * and what is still kept of them: workers with their pauses, rates, who holds which hint, and
 * durable jobs, which wait. An administrator says what becomes of it.
 */
import type { FormerPools as Api } from "../../api/index.js";
import type { Logger } from "../../console/index.js";
import { RpcError } from "../../rpc/index.js";
import { compareNames, quoted } from "../../text/index.js";
import type { JobRecord } from "../jobs/types.js";
import type { Store } from "../state/store.js";
import type { DurableJobs } from "./durable-jobs.js";
import { statesShownAs } from "./record-view.js";

/** Records that are looked at in one go. */
const AT_ONCE = 500;

const ACTIVE = statesShownAs(["waiting", "queued", "running"]);

const REMOVED = "Its pool was removed.";

export interface FormerPoolsOptions {
  readonly store: Store;
  readonly durable: DurableJobs | undefined;
  /** The pools that there are. */
  readonly pools: ReadonlyMap<string, unknown>;
  readonly log: Logger;
  /** Something was moved to this pool, which may have it in memory. */
  onMoved(pool: string): void;
}

export class FormerPools implements Api.FormerPoolsService {
  constructor(private readonly options: FormerPoolsOptions) {}

  async formerPools(): Promise<Api.FormerPool[]> {
    const { durable, pools, store } = this.options;
    await durable?.whole;
    const names = new Set([...store.kept.names(), ...(durable?.homeless ?? [])]);
    const found: Api.FormerPool[] = [];
    for (const name of [...names].sort(compareNames)) {
      if (pools.has(name)) continue;
      const former = await this.keptOf(name);
      if (former.workers + former.rates + former.hints + former.jobs > 0) found.push(former);
    }
    return found;
  }

  /** Tells of them in the log, and what can be done. */
  async report(): Promise<void> {
    for (const former of await this.formerPools()) {
      const { jobs, name } = former;
      const waiting = jobs > 0 ? "; the jobs wait" : "";
      this.options.log.warn(
        `There is no pool ${quoted(name)} any more (--pools), and this is kept of it: ${inWords(former)}${waiting}. ` +
          `If it has another name now: ocluster-admin move-pool ${name} NEW; if it is not wanted: ocluster-admin forget-pool ${name}`,
        { pool: name, ...former },
      );
    }
  }

  async movePool(from: string, to: string): Promise<Api.FormerPool> {
    const { durable, log, onMoved, pools } = this.options;
    if (!pools.has(to)) {
      const there = [...pools.keys()].join(", ");
      throw new RpcError("failed", `No such pool ${quoted(to)} to move it to; there is ${there}`);
    }
    const former = await this.find(from);
    // Rows that become jobs from now on are for the new one.
    await durable?.batches.movePool(from, to);
    await this.eachJob(from, (job) => durable!.book.move(job.id, to));
    await this.takeAll(from, to);
    onMoved(to);
    await durable?.records.synced();
    log.info(`Moved what was kept of pool ${quoted(from)} to ${quoted(to)}: ${inWords(former)}`);
    return former;
  }

  async forgetPool(name: string): Promise<Api.FormerPool> {
    const { durable, log } = this.options;
    const former = await this.find(name);
    await durable?.batches.cancelPool(name, REMOVED);
    await this.eachJob(name, (job) => durable!.book.cancel(job.id, REMOVED));
    await this.takeAll(name, null);
    await durable?.records.synced();
    log.info(`Forgot what was kept of pool ${quoted(name)}: ${inWords(former)}`);
    return former;
  }

  /** Throws an `RpcError` (failed) if there is such a pool, or nothing of it. */
  private async find(name: string): Promise<Api.FormerPool> {
    if (this.options.pools.has(name)) {
      throw new RpcError(
        "failed",
        `There is a pool ${quoted(name)}: start the scheduler without it`,
      );
    }
    const formers = await this.formerPools();
    const former = formers.find((each) => each.name === name);
    if (former) return former;
    const names = formers.map((each) => quoted(each.name)).join(", ");
    const others = names === "" ? "nor of any other" : `but of ${names}`;
    throw new RpcError("failed", `Nothing is kept of a pool ${quoted(name)}, ${others}`);
  }

  private async keptOf(name: string): Promise<Api.FormerPool> {
    let jobs = 0;
    await this.eachJob(name, () => jobs++);
    return { name, jobs, ...this.options.store.kept.count(name) };
  }

  private async eachJob(pool: string, visit: (job: Readonly<JobRecord>) => void): Promise<void> {
    const { durable } = this.options;
    if (!durable?.homeless.has(pool)) return;
    for (let before: number | undefined; ; ) {
      const page = await durable.records.page({ pool, states: ACTIVE, limit: AT_ONCE, before });
      for (const { job: record } of page.jobs) {
        const job = durable.book.job(record.id);
        if (job?.pool === pool) visit(job);
      }
      if (page.before === null) return;
      before = page.before;
    }
  }

  private async takeAll(from: string, to: string | null): Promise<void> {
    const { kept, writes } = this.options.store;
    while (await writes.run(() => kept.takeSome(from, to))) {
      // The others have their turn between two transactions.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** `2 workers, 1 rate, 3 hints, 5 durable jobs` */
function inWords({ hints, jobs, rates, workers }: Api.FormerPool): string {
  const counted = (n: number, what: string) =>
    n === 0 ? [] : [`${n} ${what}${n === 1 ? "" : "s"}`];
  return [
    ...counted(workers, "worker"),
    ...counted(rates, "rate"),
    ...counted(hints, "hint"),
    ...counted(jobs, "durable job"),
  ].join(", ");
}
