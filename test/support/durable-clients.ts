/**
 * Clients that submit durable jobs and watch them, over a connection that is lost again and again,
 * and what they were told: whatever they were told must still hold at the end.
 */
import { DurableSubmission, JobRecords } from "../../src/api/index.js";
import { sleep } from "../../src/async/index.js";
import { type Capability, RpcError, readCapFile, Vat } from "../../src/rpc/index.js";
import type { Random } from "../rpc/model/random.js";
import { run } from "./programs.js";
import { type Plan, payloadOf, RECORDED } from "./recorded-jobs.js";

/** A job that was submitted, and answered for. */
export interface Answered {
  readonly job: number;
  readonly plan: Plan;
  /** The job that has to succeed before it. */
  readonly after: number | null;
  /** Its record, as soon as it was told to have ended. */
  ended: JobRecords.JobRecord | null;
  /** What `ocluster-client logs -f` has printed, if it was asked to follow the job. */
  followed: string | null;
}

/** A scheduler, whatever becomes of the connection to it. */
export class SteadyScheduler {
  private vat = new Vat();
  private current: Promise<Capability> | null = null;

  constructor(private readonly capFile: string) {}

  /** Calls it, and once more whenever the connection was lost before the answer. */
  async call<T>(use: (scheduler: Capability) => Promise<T>): Promise<T> {
    for (;;) {
      this.current ??= this.vat.import(readCapFile(this.capFile));
      const used = this.current;
      try {
        return await use(await used);
      } catch (error) {
        if (RpcError.from(error).kind !== "disconnected") throw error;
        // The first to notice; the others find the next connection.
        if (this.current === used) {
          this.current = null;
          void used.then((lost) => lost.release()).catch(() => {});
          await sleep(50);
        }
      }
    }
  }

  async close(): Promise<void> {
    const capability = await this.current?.catch(() => null);
    capability?.release();
    await this.vat.close();
  }
}

export interface ClientOptions {
  /** The path of its capability file. */
  readonly capFile: string;
  readonly name: string;
  readonly pool: string;
  readonly random: Random;
  /** How many of its jobs have not ended, at most. */
  readonly open: number;
}

export class DurableClient {
  readonly answered: Answered[] = [];
  /** How many jobs it was told that it has cancelled, or that had ended before. */
  cancelled = 0;
  private readonly scheduler: SteadyScheduler;
  private readonly watched = new Set<Promise<void>>();

  constructor(private readonly options: ClientOptions) {
    this.scheduler = new SteadyScheduler(options.capFile);
  }

  /**
   * Submits jobs until `isOver`, and resolves when all have ended. Rejects if it is told what
   * cannot be.
   */
  async run(isOver: () => boolean): Promise<void> {
    try {
      while (!isOver()) {
        await this.submit();
        while (this.watched.size >= this.options.open) await Promise.race(this.watched);
      }
      await Promise.all(this.watched);
    } finally {
      await this.scheduler.close();
    }
  }

  private async submit(): Promise<void> {
    const { name, pool, random } = this.options;
    const plan: Plan = {
      key: `${name}-${this.answered.length}`,
      lines: random.below(40),
      width: random.once(10) ? 4000 : random.below(100),
      pauseMs: random.below(30),
      fails: random.once(10),
    };
    const after = random.once(10) ? (this.answered.at(-1)?.job ?? null) : null;
    const options = {
      ...DurableSubmission.DEFAULT_DURABLE_OPTIONS,
      key: plan.key,
      retries: 1,
      lostRetries: Number.POSITIVE_INFINITY,
      after: after === null ? [] : [after],
    };
    const action = { kind: "custom", name: RECORDED, payload: payloadOf(plan) } as const;
    const descr = { action, cacheHint: "", secrets: [] };
    const { job } = await this.scheduler.call((scheduler) =>
      DurableSubmission.submit(scheduler, { pool, descr, options }),
    );
    const answered = { job, plan, after, ended: null, followed: null };
    this.answered.push(answered);
    const watched = Promise.all([
      this.watch(answered),
      this.changeItsMind(answered),
      this.follow(answered),
    ]).then(() => {
      this.watched.delete(watched);
    });
    watched.catch(() => {}); // `run` is told of it.
    this.watched.add(watched);
  }

  private async watch(answered: Answered): Promise<void> {
    for (let revision = 0; answered.ended === null; ) {
      const record = await this.scheduler.call((records) =>
        // Over a new connection it may be the same record.
        JobRecords.get(records, answered.job, revision),
      );
      revision = record.revision;
      this.told(answered, record);
    }
  }

  /**
   * Some jobs are followed by the program, too. It outlasts all but not to find the scheduler at
   * first.
   */
  private async follow(answered: Answered): Promise<void> {
    const { capFile, random } = this.options;
    if (!random.once(12)) return;
    for (;;) {
      const args = ["-q", "-c", capFile, "logs", String(answered.job), "-f"];
      const { code, stderr, stdout } = await run("ocluster-client", args);
      answered.followed = stdout;
      if (code === 0) return;
      if (stdout !== "") throw new Error(`${args.join(" ")} ended with ${code}: ${stderr}`);
    }
  }

  private async changeItsMind(answered: Answered): Promise<void> {
    const { random } = this.options;
    if (!random.once(12)) return;
    await sleep(random.below(1000));
    const { job } = answered;
    await this.scheduler.call((records) => JobRecords.cancel(records, job, "changed its mind"));
    this.cancelled++;
    const record = await this.scheduler.call((records) => JobRecords.get(records, job));
    if (record.ended === null) throw new Error(`Job ${job} was cancelled, and has not ended`);
    this.told(answered, record);
  }

  private told(answered: Answered, record: JobRecords.JobRecord): void {
    if (record.ended !== null) answered.ended ??= record;
  }
}
