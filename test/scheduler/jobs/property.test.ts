/**
 * The book of jobs against a model of it that is slow and obvious, with kills of the scheduler at
 * any point.
 */

import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import type {
  HeldAttempt,
  JobOptions,
  JobRecord,
  JobState,
  ReportedOutcome,
} from "../../../src/scheduler/jobs/types.js";
import { avoidOf, Model, type ModelJob, tallyOf } from "./model.js";
import { isEnd, World } from "./support.js";

const SETTINGS = { lease: 60, poisonAfter: 2, keepJobs: 1000, keepFailed: 300 };
const OUTCOMES: readonly ReportedOutcome[] = [
  "succeeded",
  "failed",
  "timeout",
  "no space",
  "evicted",
  "lost",
  "crashed",
];

/** Picks one of what there is when the move is made. */
const pick = fc.nat({ max: 1000 });
const worker = fc.constantFrom("w1", "w2", "w3");
const move = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("submit" as const),
      client: fc.constantFrom("alice", "bob"),
      key: fc.constantFrom("", "", "", "k1", "k2"),
      retries: fc.nat({ max: 2 }),
      lostRetries: fc.constantFrom(0, 1, 3, Number.POSITIVE_INFINITY),
      retryDelay: fc.constantFrom(0, 5, 200),
      timeout: fc.constantFrom(null, 30),
      after: fc.array(pick, { maxLength: 2 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("offer" as const),
      pick,
      worker,
      resumes: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("begun" as const), pick }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("ended" as const),
      pick,
      outcome: fc.constantFrom(...OUTCOMES),
      /** Said with the end, if nobody has said before that it had begun. */
      seconds: fc.option(fc.constantFrom(0, 3, 1e9, Number.NaN), { freq: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("outOfTouch" as const),
      worker,
      only: fc.option(pick, { nil: undefined, freq: 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("resumed" as const),
      worker,
      /**
       * Most workers tell the truth: then they hold what they were given, in these states, but for
       * some.
       */
      honest: fc.boolean(),
      held: fc.array(
        fc.record({
          pick,
          state: fc.constantFrom("running" as const, "ended" as const, "crashed" as const),
        }),
        { maxLength: 4 },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("cancel" as const), pick }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("retry" as const), pick }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("refuse" as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("pass" as const),
      seconds: fc.constantFrom(0, 1, 5, 30, 60, 400),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("setClock" as const),
      to: fc.constantFrom(-100, 0, 100),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("endTurn" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("restart" as const), losing: fc.boolean() }),
  },
);

type Move = typeof move extends fc.Arbitrary<infer M> ? M : never;

/** `toEqual`, but quick: there are millions of comparisons. */
function same(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected);
}

/** Both, side by side. */
class Comparison {
  private readonly world = new World(SETTINGS);
  private model = new Model(SETTINGS);
  /** The model as it was when the last turn ended: what is on disk. */
  private kept = structuredClone(this.state());
  private clockSet = 0;

  private state() {
    const { jobs, queue, counter } = this.model;
    return { jobs, queue, counter };
  }

  private endTurn(): void {
    this.world.store.endTurn();
    this.kept = structuredClone(this.state());
  }

  run(move: Move): void {
    const { world, model } = this;
    const before = world.ended.length;
    const stopped = world.stopped.length;
    model.ended = [];
    model.stopped = [];
    this.make(move);
    same(world.ended.slice(before), model.ended);
    same(world.stopped.slice(stopped), model.stopped);
    this.compare();
  }

  private make(move: Move): void {
    const { world, model } = this;
    const { book } = world;
    switch (move.type) {
      case "submit":
        this.submit(move);
        break;
      case "offer": {
        const id = one(world.queue, move.pick);
        if (id === undefined) break;
        const attempt = world.offer(move.worker, id, move.resumes);
        same(attempt, model.offer(id, move.worker, move.resumes));
        break;
      }
      case "begun": {
        const { job, attempt } = this.anAttempt(move.pick);
        same(book.begun(job, attempt), model.begun(job, attempt));
        break;
      }
      case "ended": {
        const { job, attempt } = this.anAttempt(move.pick);
        const { outcome, seconds } = move;
        const output = `${job}/${attempt}`;
        const report = { outcome, output, ...(seconds !== null && { seconds }) };
        const isTaken = book.ended(job, attempt, report);
        if (seconds !== null) model.begun(job, attempt);
        same(isTaken, model.reportEnd(job, attempt, outcome, output));
        break;
      }
      case "outOfTouch": {
        const only = move.only === undefined ? undefined : one(model.jobs, move.only)?.id;
        book.outOfTouch(move.worker, only);
        model.outOfTouch(move.worker, only);
        break;
      }
      case "resumed": {
        const held = move.honest ? this.truth(move.worker, move.held) : this.lies(move.held);
        same(book.resumed(move.worker, held), model.resumed(move.worker, held));
        break;
      }
      case "cancel": {
        const id = one(model.jobs, move.pick)?.id ?? 1;
        same(book.cancel(id, ""), model.cancel(id));
        break;
      }
      case "retry": {
        const job = one(
          model.jobs.filter((job) => model.get(job.id)),
          move.pick,
        );
        if (!job) break;
        this.endTurn();
        same(world.retry(job.id).kind, model.retry(job.id));
        break;
      }
      case "refuse": {
        const id = model.jobs.at(-1)?.id;
        if (id === undefined || world.store.jobs.has(id) || !model.get(id)) break;
        world.forget(id);
        model.forget(id);
        break;
      }
      case "pass":
        this.endTurn();
        model.wall += move.seconds;
        model.steady += move.seconds;
        world.pass(move.seconds);
        // To clean up ends a turn.
        if (model.tick()) this.endTurn();
        break;
      case "setClock":
        for (const each of [world, model]) each.wall += move.to - this.clockSet;
        this.clockSet = move.to;
        break;
      case "endTurn":
        this.endTurn();
        break;
      case "restart":
        if (move.losing) Object.assign(model, structuredClone(this.kept));
        else this.endTurn();
        world.restart({ losing: move.losing });
        model.nextStart = world.nextStart;
        model.restart();
        break;
    }
  }

  private submit(move: Move & { type: "submit" }): void {
    const { client, key, retries, lostRetries, retryDelay, timeout } = move;
    const { world, model } = this;
    // Now and then one that there is not, or not yet.
    const ids = move.after.map((pick) => one(model.jobs, pick)?.id ?? pick + 1);
    const after = [...new Set(ids)].sort((a, b) => a - b);
    const options: JobOptions = { retries, lostRetries, retryDelay, timeout, after };
    const result = world.submit({ client, key, options });
    const id = result.kind === "new" ? result.job.id : 0;
    if (result.kind === "new") expect(id).toBeGreaterThan(model.jobs.at(-1)?.id ?? 0);
    const expected = model.submit(id, client, key, options);
    const { kind } = result;
    same(kind === "known" ? result.id : kind, expected);
  }

  /** Any attempt that ever was, and now and then one that never was. */
  private anAttempt(pick: number): { job: number; attempt: number } {
    const all = this.model.jobs.flatMap(({ id, attempts }) =>
      attempts.map((_, i) => ({ job: id, attempt: i + 1 })),
    );
    // The newest are what most is said about.
    return one([...all, { job: 1, attempt: 99 }].reverse(), Math.floor(Math.sqrt(pick)))!;
  }

  private lies(held: readonly { pick: number; state: HeldAttempt["state"] }[]): HeldAttempt[] {
    return held.map(({ pick, state }) => ({ ...this.anAttempt(pick), state }));
  }

  private truth(worker: string, held: readonly { state: HeldAttempt["state"] }[]): HeldAttempt[] {
    const attempts = this.model.jobs.flatMap(({ id, attempts }) =>
      attempts.at(-1)?.worker === worker ? [{ job: id, attempt: attempts.length }] : [],
    );
    return held.flatMap(({ state }, i) => (attempts[i] ? [{ ...attempts[i], state }] : []));
  }

  private compare(): void {
    const { world, model } = this;
    same(world.queue, model.queue);
    const counts = { waiting: 0, queued: 0, offered: 0, running: 0, "out of touch": 0 };
    for (const job of model.jobs) {
      const live = world.book.job(job.id);
      const open = world.book.attempt(job.id)?.attempt;
      if (job.removed || isEnd(job.state)) {
        same([live, open], [undefined, undefined]);
        continue;
      }
      same(live && seen(live), expectedOf(job));
      const isOpen = job.attempts.at(-1)?.outcome === null;
      same(open, isOpen ? job.attempts.length : undefined);
      counts[job.state]++;
    }
    const moments = model.jobs.map(({ moment }) => moment ?? Number.POSITIVE_INFINITY);
    same(world.book.due() <= Math.min(...moments), true);
    for (const [state, count] of Object.entries(counts)) {
      same(world.book.count(state as JobState), count);
    }
  }

  /** At last: what is on disk is all that the model knows. */
  finish(): void {
    this.endTurn();
    const { store } = this.world;
    for (const job of this.model.jobs) {
      const row = store.jobs.get(job.id);
      same(row === undefined, job.removed);
      if (!row) continue;
      same(seen(row), expectedOf(job));
      same(store.descriptions.has(job.id), job.described);
      same(row.ended, job.endedAt);
      job.attempts.forEach(({ worker, outcome, begun }, i) => {
        const attempt = store.attempts.get(`${job.id}/${i + 1}`)!;
        same({ worker: attempt.worker, outcome: attempt.outcome }, { worker, outcome });
        same(attempt.started !== null, begun);
        same(attempt.ended !== null, outcome !== null);
      });
      // An end is that of the last attempt, or a cancellation.
      if (isEnd(row.state) && row.state !== "cancelled") {
        same(row.cause, job.attempts.at(-1)!.outcome);
      }
    }
  }
}

function one<T>(all: readonly T[], pick: number): T | undefined {
  return all[pick % Math.max(all.length, 1)];
}

function seen(row: Readonly<JobRecord>) {
  const { state, cause, output, described, start, notBefore, attempts, avoid } = row;
  const { failures, losses, suspicions, troubles } = row;
  const tally = { failures, losses, suspicions, troubles };
  return { state, cause, output, described, start, notBefore, attempts, ...tally, avoid };
}

function expectedOf(job: ModelJob) {
  const { state, cause, output, described, start, notBefore, attempts } = job;
  const plain = { state, cause, output, described, start, notBefore, attempts: attempts.length };
  return { ...plain, ...tallyOf(job), avoid: avoidOf(job) };
}

test("10,000 random histories go as the model says", { timeout: 600_000 }, () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 45, size: "max" }), (moves) => {
      const comparison = new Comparison();
      for (const each of moves) comparison.run(each);
      comparison.finish();
    }),
    { numRuns: 10_000 },
  );
});
