/**
 * The jobs of a pool that have not ended, for administrators: which there are, and an end for those
 * that fit. Of running jobs all is in memory; of queued ones attached jobs are known by their
 * tickets, and durable ones by their records.
 *
 * There may be millions. They are gone through in slices of the loop's time, and not all of them
 * are listed.
 */
import type { LiveJobs as Api } from "../../api/index.js";
import { Slices } from "../../async/index.js";
import type { JobRecord } from "../jobs/types.js";
import type { AttachedRun } from "./attached-run.js";
import type { ClientTicket } from "./client-ticket.js";
import type { DurableJobs } from "./durable-jobs.js";
import type { LiveBatch } from "./live-batch.js";
import { statesShownAs } from "./record-view.js";

/** What an answer has room for: so many jobs, with so many characters of names and hints. */
const MOST = 10_000;
const MOST_TEXT = 4 * 1024 * 1024;

/** Records that are looked at in one go. */
const AT_ONCE = 500;

/** Where the attached jobs of a pool are. */
export interface AttachedJobs {
  readonly name: string;
  readonly runs: ReadonlySet<AttachedRun>;
  /** The tickets that are held, of one client or of all. */
  heldTickets(client: string | undefined): Iterable<Iterable<ClientTicket>>;
}

/** A job that fits: as it is, and how it is ended. */
type Visit = (job: Api.LiveJob, cancel: (reason: string) => void) => void;

export class LiveJobs {
  constructor(
    private readonly pool: AttachedJobs,
    private readonly durable: DurableJobs | undefined,
  ) {}

  async list(filter: Api.LiveFilter, limit: number, signal?: AbortSignal): Promise<Api.LiveList> {
    const found = new Listing(limit);
    await this.each(filter, (job) => found.add(job), signal);
    return found;
  }

  /** Cancels all that fit; resolves when that is on disk, and workers have been told. */
  async cancel(filter: Api.LiveFilter, reason: string, limit: number): Promise<Api.LiveList> {
    const found = new Listing(limit);
    const batches = this.batchesOf(filter);
    if (batches.length > 0) {
      // They end first: else they would begin other rows in place of those that are cancelled.
      await this.each(filter, (job) => found.add(job));
      for (const batch of batches) await this.durable!.batches.cancel(batch, reason);
    }
    await this.each(filter, (job, cancel) => {
      cancel(reason);
      if (batches.length === 0) found.add(job);
    });
    await this.durable?.records.synced();
    return found;
  }

  /** The batches all of whose jobs fit. */
  private batchesOf({ client, hint, states, worker }: Api.LiveFilter): readonly LiveBatch[] {
    if (!this.durable || hint !== undefined || states !== undefined || worker !== undefined) {
      return [];
    }
    return this.durable.batches
      .inPool(this.pool.name)
      .filter(({ row }) => (client ?? row.client) === row.client);
  }

  /**
   * Ends the attached job of that number, if it is the client's (null: anybody's). Resolves with
   * whether there is one.
   */
  async cancelAttached(id: number, client: string | null, reason: string): Promise<boolean> {
    const slices = new Slices();
    for (const run of this.pool.runs) {
      if (run.of.job.id !== id || (client ?? run.of.client) !== run.of.client) continue;
      run.cancel();
      return true;
    }
    for (const tickets of this.pool.heldTickets(client ?? undefined)) {
      for (const ticket of [...tickets]) {
        if (ticket.isQueued && ticket.queuedJob.id === id) {
          ticket.withdraw(reason);
          return true;
        }
        if (slices.over) await slices.turn();
      }
    }
    return false;
  }

  private async each(filter: Api.LiveFilter, visit: Visit, signal?: AbortSignal): Promise<void> {
    await this.durable?.whole;
    const wants = (state: Api.LiveJob["state"]) => filter.states?.includes(state) ?? true;
    const slices = new Slices(signal);
    // Queued ones first: to cancel those that run lets others start.
    if (filter.worker === undefined) {
      if (wants("queued")) await this.eachTicket(filter, visit, slices);
      await this.eachRecord(filter, (["waiting", "queued"] as const).filter(wants), visit, slices);
    }
    if (wants("running")) await this.eachRunning(filter, visit, slices);
  }

  private async eachTicket(filter: Api.LiveFilter, visit: Visit, slices: Slices): Promise<void> {
    for (const tickets of this.pool.heldTickets(filter.client)) {
      for (const ticket of [...tickets]) {
        if (slices.over) await slices.turn();
        const { queuedJob: job } = ticket;
        if (!ticket.isQueued || (filter.hint ?? job.hint) !== job.hint) continue;
        const { hint, id, submitted } = job;
        visit(
          {
            ...{ job: id, client: ticket.client, attached: true, name: "", hint, submitted },
            ...{ urgent: ticket.urgent, state: "queued", run: null },
          },
          (reason) => ticket.withdraw(reason),
        );
      }
    }
  }

  private async eachRecord(
    { client, hint }: Api.LiveFilter,
    shown: readonly ("waiting" | "queued")[],
    visit: Visit,
    slices: Slices,
  ): Promise<void> {
    const { durable } = this;
    if (!durable || shown.length === 0) return;
    const query = { pool: this.pool.name, client, hint, states: statesShownAs(shown) };
    for (let before: number | undefined; ; ) {
      const page = await durable.records.page({ ...query, limit: AT_ONCE, before });
      for (const { job: record } of page.jobs) {
        // It may have gone on since.
        const job = durable.book.job(record.id);
        if (job?.state !== "waiting" && job?.state !== "queued") continue;
        visit({ ...factsOf(job), state: job.state, run: null }, (reason) => {
          durable.book.cancel(job.id, reason);
        });
      }
      if (page.before === null) return;
      before = page.before;
      await slices.turn();
    }
  }

  private async eachRunning(filter: Api.LiveFilter, visit: Visit, slices: Slices): Promise<void> {
    const fits = (client: string, worker: string, hint: string) =>
      (filter.client ?? client) === client &&
      (filter.worker ?? worker) === worker &&
      (filter.hint ?? hint) === hint;
    for (const run of [...this.pool.runs]) {
      if (slices.over) await slices.turn();
      const { client, job, urgent, worker } = run.of;
      const { hint, id, submitted } = job;
      if (!this.pool.runs.has(run) || !fits(client, worker, hint)) continue;
      const { lastOutput, started } = run;
      visit(
        {
          ...{ job: id, client, attached: true, name: "", hint, submitted, urgent },
          state: "running",
          run: { attempt: 1, worker, started, lastOutput, outOfTouch: false },
        },
        () => run.cancel(),
      );
    }
    const { durable } = this;
    if (!durable) return;
    for (const { attempt, job: id, offered, started, worker } of durable.book.openAttempts()) {
      if (slices.over) await slices.turn();
      const job = durable.book.job(id);
      if (job?.pool !== this.pool.name || !fits(job.client, worker, job.hint)) continue;
      if (durable.book.attempt(id)?.attempt !== attempt) continue;
      visit(
        {
          ...factsOf(job),
          state: "running",
          run: {
            ...{ attempt, worker, started: started ?? offered },
            lastOutput: durable.lastOutput(id),
            outOfTouch: job.state === "out of touch",
          },
        },
        (reason) => void durable.book.cancel(id, reason),
      );
    }
  }
}

function factsOf({ client, hint, id, name, submitted, urgent }: Readonly<JobRecord>) {
  return { job: id, client, attached: false, name, hint, urgent, submitted };
}

/** Counts jobs, and keeps as many as there is room for. */
class Listing implements Api.LiveList {
  readonly jobs: Api.LiveJob[] = [];
  total = 0;
  private text = 0;

  /** @param limit 0: what there is room for */
  constructor(private readonly limit: number) {}

  add(job: Api.LiveJob): void {
    this.total++;
    if (this.jobs.length >= (this.limit === 0 ? MOST : Math.min(this.limit, MOST))) return;
    this.text += job.client.length + job.hint.length + job.name.length;
    if (this.text <= MOST_TEXT) this.jobs.push(job);
  }
}
