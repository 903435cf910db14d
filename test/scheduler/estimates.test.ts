/** How long jobs are thought to take: by fixed figures, and by what was learned. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Identity } from "../../src/rpc/index.js";
import { FIXED_COSTS, FIXED_ESTIMATES } from "../../src/scheduler/pool/estimates.js";
import { type Experience, LearnedEstimates } from "../../src/scheduler/pool/learned-estimates.js";
import { Pool } from "../../src/scheduler/pool/pool.js";
import type { Ticket } from "../../src/scheduler/pool/ticket.js";
import { Store } from "../../src/scheduler/state/store.js";
import { Network, type TestWorker } from "./network.js";
import { connect, type Job, job, testPool } from "./support.js";

const HINTED = { client: "ann", hint: "lib" };

function learned(...seconds: readonly number[]): LearnedEstimates {
  const estimates = new LearnedEstimates();
  learnAll(estimates, seconds);
  return estimates;
}

function learnAll(
  estimates: LearnedEstimates,
  seconds: readonly number[],
  kind: Partial<Experience> = {},
): void {
  for (const each of seconds) {
    estimates.learn({ ...HINTED, cached: false, seconds: each, ...kind });
  }
}

describe("learned estimates", () => {
  it("are the fixed ones until there are some of the client", () => {
    expect(new LearnedEstimates().costs(HINTED)).toEqual(FIXED_COSTS);
    expect(learned(40, 50).costs(HINTED)).toEqual(FIXED_COSTS);
    expect(learned(40, 50, 60).costs({ client: "ben", hint: "" })).toEqual(FIXED_COSTS);
    expect(FIXED_ESTIMATES.costs(HINTED)).toEqual({ cached: 10, nonCached: 600 });
  });

  it("are the median of the last ones, which single ones do not move", () => {
    expect(learned(40, 50, 60).costs(HINTED).nonCached).toBe(50);
    expect(learned(40, 1, 50, 60, 100_000).costs(HINTED).nonCached).toBe(50);
    const changed = learned(...Array(20).fill(40));
    learnAll(changed, [400, 400, 400, 400]);
    expect(changed.costs(HINTED).nonCached).toBe(40);
    learnAll(changed, [400]);
    expect(changed.costs(HINTED).nonCached).toBe(400);
  });

  it("are those of the hint, and else those of the client", () => {
    const estimates = learned(40, 50, 60);
    learnAll(estimates, [7, 8, 9], { cached: true });
    learnAll(estimates, Array(9).fill(300), { hint: "app" });
    expect(estimates.costs(HINTED)).toEqual({ cached: 8, nonCached: 50 });
    expect(estimates.costs({ client: "ann", hint: "app" })).toEqual({ cached: 8, nonCached: 300 });
    expect(estimates.costs({ client: "ann", hint: "new" })).toEqual({ cached: 8, nonCached: 300 });
    expect(estimates.costs({ client: "ann", hint: "" })).toEqual({ cached: 8, nonCached: 300 });
    // What one client's jobs of a hint take must not make another's wait.
    expect(estimates.costs({ client: "ben", hint: "lib" })).toEqual(FIXED_COSTS);
  });

  it("are whole seconds, more than none, and no less without the hint than with it", () => {
    expect(learned(0, 0.001, 0.2).costs(HINTED)).toEqual({ cached: 10, nonCached: 10 });
    const estimates = learned(2.6, 2.6, 2.6, Number.NaN);
    learnAll(estimates, [-5, 0, 0.2], { cached: true });
    expect(estimates.costs(HINTED)).toEqual({ cached: 1, nonCached: 3 });
    const hung = learned(1e9, 1e9, 1e9);
    expect(hung.costs(HINTED).nonCached).toBe(7 * 86_400);
  });

  it("forget those that were seen least lately, so that they take so much memory and no more", () => {
    const estimates = learned(40, 40, 40);
    for (let i = 0; i < 4999; i++) {
      learnAll(estimates, [5], { client: `client-${i % 999}`, hint: `hint-${i}` });
    }
    expect(estimates.costs(HINTED).nonCached).toBe(40);
    learnAll(estimates, [5], { client: "one too many", hint: "one too many" });
    expect(estimates.costs(HINTED)).toEqual(FIXED_COSTS);
  });
});

describe("a pool", () => {
  it("knows which jobs went to a worker for their hint", () => {
    const { pool } = testPool();
    const ann = pool.client("ann");
    const worker = connect(pool, "w1");
    const taken: boolean[] = [];
    const pop = () => worker.pop((ticket) => taken.push(ticket!.cached));
    pop();
    for (const hint of ["lib", "lib", "", "app"]) ann.submit(job("x", hint));
    pool.settle();
    for (let rest = 3; rest > 0; rest--) pop();
    expect(taken).toEqual([false, true, false, false]);
  });

  it("puts no more work before a worker than its jobs really take", () => {
    const estimates = learned(3600, 3600, 3600);
    learnAll(estimates, [3000, 3000, 3000], { cached: true });
    const pool = new Pool<Job>({
      name: "test",
      clock: () => 1,
      store: Store.open(":memory:").pool("test"),
      traits: {
        hint: ({ hint }) => hint,
        costs: ({ hint }) => estimates.costs({ client: "ann", hint }),
        label: ({ name }) => name,
      },
      defer: () => {},
    });
    const tickets: Ticket<Job>[] = [];
    const [holder, other] = [connect(pool, "w1"), connect(pool, "w2")];
    holder.pop((ticket) => tickets.push(ticket!));
    const ann = pool.client("ann");
    const submitted = Array.from({ length: 5 }, (_, i) => ann.submit(job(`job${i}`, "lib")));
    pool.settle();
    other.pop((ticket) => tickets.push(ticket!));
    // By the fixed figures all four would wait for the holder.
    expect(tickets.map(({ job }) => job.name)).toEqual(["job0", "job3"]);
    const places = submitted.map((ticket) => ticket.place()?.worker);
    expect(places).toEqual([undefined, "w1", "w1", undefined, null]);
    expect(ann.nextStart).toBe(1 + 3600 + 4 * 3000);
  });
});

describe("a scheduler", () => {
  it("learns from attached and durable jobs, and still knows when it is restarted", async () => {
    const directory = mkdtempSync(join(tmpdir(), "ocluster-estimates-"));
    const identity = Identity.ephemeral();
    const start = (estimates: "learned" | "fixed") =>
      Network.start({ durable: directory, identity, estimates });
    const costs = (network: Network, client: string) =>
      network.scheduler.pools.get("pool")!.learned?.costs({ client, hint: "" });
    let network = await start("learned");
    try {
      const [alice, bob] = [await network.client("alice"), await network.client("bob")];
      const worker: TestWorker = await network.worker("w1");
      for (let i = 0; i < 3; i++) {
        const submitted = alice.submit("attached");
        (await worker.pop()).output.resolve("");
        await submitted.result;
        submitted.release();
        const id = await bob.submitDurable("durable");
        const job = await worker.popDurable();
        job.begun.resolve();
        job.end(i === 0 ? "failed" : "succeeded");
        await bob.ended(id);
        await job.settled.promise;
      }
      const known = [costs(network, "alice")!, costs(network, "bob")!];
      // They took no time to speak of.
      for (const { nonCached } of known) expect(nonCached).toBeLessThan(300);
      await network.stop();
      network = await start("learned");
      await network.durable.whole;
      for (const client of ["alice", "bob"]) {
        expect(costs(network, client)!.nonCached).toBeLessThan(300);
      }
      expect(costs(network, "carol")).toEqual(FIXED_COSTS);
      await network.stop();
      network = await start("fixed");
      expect(costs(network, "alice")).toBeUndefined();
    } finally {
      await network.stop();
      rmSync(directory, { recursive: true });
    }
  });
});
