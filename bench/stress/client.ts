/**
 * A simulated client: submits batches of jobs, follows each to its end, and comes back when the
 * connection is lost.
 */
import { setMaxListeners } from "node:events";
import { Job, Submission, Ticket } from "../../src/api/index.js";
import { sleep } from "../../src/async/sleep.js";
import { logger } from "../../src/console/log.js";
import { type Capability, RpcError, type SturdyRef, Vat } from "../../src/rpc/index.js";
import { type End, Figures } from "./figures.js";
import { describe, type SimulatedJob } from "./job.js";
import type { Profile } from "./profile.js";
import type { Random } from "./random.js";

/** Between a lost connection and the next attempt, in ms. */
const RECONNECT_MS = 1000;

const log = logger("stress");

export class SimulatedClient {
  readonly figures = new Figures();
  readonly #jobs = new Set<Promise<void>>();

  constructor(
    private readonly pool: string,
    private readonly profile: Profile,
    private readonly random: Random,
  ) {}

  /**
   * Submits jobs with the capability that `ref` stands for until `signal` is aborted; cancels then
   * what is waiting and running. Resolves when every job has ended.
   */
  async run(ref: SturdyRef, signal: AbortSignal): Promise<void> {
    setMaxListeners(0, signal); // Each job listens.
    const vat = new Vat();
    try {
      while (!signal.aborted) {
        try {
          await this.#session(vat, ref, signal);
        } catch (error) {
          if (signal.aborted) break;
          log.warn(`Client ${this.profile.name}: ${error}`);
          await sleep(RECONNECT_MS, signal).catch(() => {});
        }
      }
      await Promise.all(this.#jobs);
    } finally {
      await vat.close();
    }
  }

  /** One connection. Rejects when it is lost, the client is refused, or the signal is aborted. */
  async #session(vat: Vat, ref: SturdyRef, signal: AbortSignal): Promise<void> {
    using submission = await vat.import(ref);
    await submission.whenResolved();
    const lost = new AbortController();
    submission.onBroken((error) => lost.abort(error));
    const end = AbortSignal.any([signal, lost.signal]);
    const { batch, every, most } = this.profile;
    for (;;) {
      const room = most - this.figures.waiting - this.figures.running;
      for (let i = 0; i < Math.min(batch, room); i++) this.#start(submission, signal);
      await sleep(this.random.interval(every) * 1000, end);
    }
  }

  #start(submission: Capability, signal: AbortSignal): void {
    const job = this.#follow(submission, signal).finally(() => this.#jobs.delete(job));
    this.#jobs.add(job);
  }

  /** Never rejects. */
  async #follow(submission: Capability, signal: AbortSignal): Promise<void> {
    const { figures, profile, random } = this;
    const job = this.#newJob();
    const submitted = performance.now();
    figures.jobSubmitted();
    using ticket = Submission.submit(submission, {
      pool: this.pool,
      urgent: random.chance(profile.urgent),
      descr: { action: describe(job), cacheHint: job.hint, secrets: [] },
    });
    using running = Ticket.job(ticket);
    let cancelled = false;
    const cancel = (): void => {
      cancelled = true;
      Ticket.cancel(ticket).catch(() => {}); // It may have ended, or the connection may be lost.
    };
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
    const whim = random.chance(profile.cancelled)
      ? setTimeout(cancel, random.interval(profile.cold) * 1000)
      : undefined;
    let started = false;
    let end: End = "done";
    try {
      await running.whenResolved();
      started = true;
      figures.jobStarted((performance.now() - submitted) / 1000);
      await readLog(running);
      await Job.result(running);
    } catch (error) {
      end = cancelled ? "cancelled" : endBy(RpcError.from(error), started);
    } finally {
      clearTimeout(whim);
      signal.removeEventListener("abort", cancel);
      figures.jobEnded(end, { started });
    }
  }

  #newJob(): SimulatedJob {
    const { cold, failing, hints, name, output, warm } = this.profile;
    const { random } = this;
    return {
      hint: hints === 0 ? "" : `${name}-${random.integer(hints)}`,
      cold: random.around(cold),
      warm: random.around(warm),
      output,
      fails: random.chance(failing),
    };
  }
}

async function readLog(job: Capability): Promise<void> {
  for (let start = 0; ; ) {
    const { data, next } = await Job.log(job, start);
    if (data.length === 0) return;
    start = next;
  }
}

/** How a job ended that its client did not cancel. */
function endBy({ kind, message }: RpcError, started: boolean): End {
  if (kind === "disconnected") return "lost";
  // A worker that is told to stop cancels its jobs before it hangs up.
  if (message === "Build cancelled") return "lost";
  return started ? "failed" : "refused";
}
