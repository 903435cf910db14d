/** What durable jobs promise, one story each. */

import { describe, expect, test } from "vitest";
import { World } from "./support.js";

describe("a job", () => {
  test("goes from its submit to its end, and is on record at each step", () => {
    const world = new World();
    const id = world.make({ name: "hello" });
    expect(world.row(id)).toMatchObject({ state: "queued", name: "hello", attempts: 0 });
    const attempt = world.offer("w1");
    expect(world.row(id)).toMatchObject({ state: "offered", attempts: 1, started: null });
    world.pass(5);
    expect(world.book.begun(id, attempt)).toBe(true);
    expect(world.row(id)).toMatchObject({ state: "running", started: 1_000_005 });
    world.pass(10);
    const report = { outcome: "succeeded", output: "sha256:1", logSize: 17 } as const;
    expect(world.book.ended(id, attempt, report)).toBe(true);
    expect(world.row(id)).toMatchObject({
      state: "succeeded",
      cause: "succeeded",
      output: "sha256:1",
      ended: 1_000_015,
      described: false,
    });
    expect(world.store.attempts.get(`${id}/1`)).toEqual({
      job: id,
      attempt: 1,
      worker: "w1",
      resumes: true,
      cached: false,
      offered: 1_000_000,
      started: 1_000_005,
      ended: 1_000_015,
      outcome: "succeeded",
      reason: "",
      logSize: 17,
    });
    expect(world.store.descriptions.size).toBe(0);
    expect(world.ended).toEqual([id]);
    expect(world.book.job(id)).toBeUndefined();
  });

  test("that is submitted again with its key is the same, whether it has ended or not", () => {
    const world = new World();
    const id = world.make({ key: "tile-1" });
    const again = { kind: "known", id };
    expect(world.submit({ key: "tile-1" })).toEqual(again);
    expect(world.submit({ client: "bob", key: "tile-1" })).toMatchObject({ kind: "new" });
    world.book.cancel(id, "enough");
    expect(world.submit({ key: "tile-1" })).toEqual(again);
    world.pass(1000);
    // Now only the records know.
    expect(world.submit({ key: "tile-1" })).toEqual(again);
    world.restart();
    expect(world.submit({ key: "tile-1" })).toEqual(again);
  });

  test("whose submit could not be kept never was, and neither was what it had begun", () => {
    const world = new World();
    const id = world.make({ key: "k" });
    const attempt = world.offer("w1");
    world.forget(id);
    expect(world.stopped).toEqual([`${id}/1`]);
    expect(world.book.begun(id, attempt)).toBe(false);
    expect(world.submit({ key: "k" })).toMatchObject({ kind: "new" });
    expect(world.store.jobs.has(id)).toBe(false);
    expect(world.book.count("offered")).toBe(0);
  });

  test("is cancelled in whatever state, once", () => {
    const world = new World();
    const queued = world.make();
    const offered = world.make();
    const running = world.make();
    const away = world.make();
    const waiting = world.make({ options: { after: [running] } });
    world.offer("w1", offered);
    world.run("w1", running);
    world.run("w2", away);
    world.book.outOfTouch("w2");
    for (const id of [waiting, queued, offered, running, away]) {
      expect(world.book.cancel(id, "not needed")).toBe(true);
      expect(world.book.cancel(id, "again")).toBe(false);
      expect(world.row(id)).toMatchObject({ state: "cancelled", reason: "not needed" });
    }
    expect(world.queue).toEqual([]);
    expect(world.stopped).toEqual([`${offered}/1`, `${running}/1`, `${away}/1`]);
    expect(world.store.descriptions.size).toBe(0);
    const held = { job: away, attempt: 1, state: "ended" } as const;
    expect(world.book.resumed("w2", [held])).toEqual(["stop"]);
    expect(world.ended).toHaveLength(5);
  });
});

describe("a lost worker", () => {
  test("is waited for as long as the lease; then the job goes elsewhere, and what comes late is dropped", () => {
    const world = new World({ lease: 60 });
    const id = world.make();
    const first = world.run("w1");
    world.book.outOfTouch("w1");
    expect(world.row(id).state).toBe("out of touch");
    world.pass(59);
    expect(world.row(id).state).toBe("out of touch");
    world.pass(1);
    expect(world.row(id)).toMatchObject({ state: "queued", avoid: ["w1"], losses: 1 });
    const second = world.run("w2");
    expect(second).toBe(first + 1);
    const held = [{ job: id, attempt: first, state: "ended" } as const];
    expect(world.book.resumed("w1", held)).toEqual(["stop"]);
    expect(world.book.ended(id, first, { outcome: "succeeded", output: "old" })).toBe(false);
    expect(world.book.begun(id, first)).toBe(false);
    expect(world.row(id)).toMatchObject({ state: "running", output: "" });
    expect(world.book.ended(id, second, { outcome: "succeeded", output: "new" })).toBe(true);
    expect(world.book.ended(id, second, { outcome: "failed" })).toBe(false);
    expect(world.row(id)).toMatchObject({ state: "succeeded", output: "new" });
    expect(world.attemptsOf(id)).toEqual(["w1: lost", "w2: succeeded"]);
    expect(world.ended).toEqual([id]);
  });

  test("that is back in time goes on", () => {
    const world = new World({ lease: 60 });
    const id = world.make();
    const attempt = world.run("w1");
    world.book.outOfTouch("w1");
    world.pass(59);
    const verdicts = world.book.resumed("w1", [{ job: id, attempt, state: "running" }]);
    expect(verdicts).toEqual(["goOn"]);
    world.pass(1000);
    expect(world.row(id).state).toBe("running");
    expect(world.book.counters.resumed).toBe(1);
  });

  test("that comes and goes without a word does not prolong the lease", () => {
    const world = new World({ lease: 60 });
    const id = world.make();
    world.run("w1");
    world.book.outOfTouch("w1");
    world.pass(59);
    world.book.outOfTouch("w1");
    world.pass(1);
    expect(world.attemptsOf(id)).toEqual(["w1: lost"]);
  });

  test("that is back without its jobs says so, and nobody waits", () => {
    const world = new World();
    const crashed = world.make();
    const vanished = world.make();
    const unarrived = world.make();
    world.run("w1", crashed);
    world.run("w1", vanished);
    world.offer("w1", unarrived);
    world.book.outOfTouch("w1");
    const held = { job: crashed, attempt: 1, state: "crashed" } as const;
    expect(world.book.resumed("w1", [held])).toEqual(["stop"]);
    expect(world.attemptsOf(crashed)).toEqual(["w1: crashed"]);
    expect(world.attemptsOf(vanished)).toEqual(["w1: crashed"]);
    expect(world.attemptsOf(unarrived)).toEqual(["w1: evicted"]);
    expect(world.row(unarrived)).toMatchObject({ losses: 0, avoid: [] });
    expect(world.queue.sort()).toEqual([crashed, vanished, unarrived]);
  });

  test("cannot speak for another's attempt", () => {
    const world = new World();
    const id = world.make();
    const attempt = world.run("w1");
    expect(world.book.resumed("w2", [{ job: id, attempt, state: "crashed" }])).toEqual(["stop"]);
    expect(world.row(id).state).toBe("running");
  });

  test("of the reference has lost its jobs at once", () => {
    const world = new World();
    const id = world.make();
    const other = world.make();
    world.run("old", id, false);
    world.run("old", other, false);
    world.book.outOfTouch("old", id);
    expect(world.attemptsOf(id)).toEqual(["old: lost"]);
    expect(world.row(other).state).toBe("running");
    world.book.outOfTouch("old");
    expect(world.attemptsOf(other)).toEqual(["old: lost"]);
    expect(world.stopped).toEqual([`${id}/1`, `${other}/1`]);
  });
});

describe("another attempt", () => {
  test("follows a failed one as often as was asked for, after the delay, behind all others", () => {
    const world = new World();
    const id = world.make({ options: { retries: 1, retryDelay: 30 } });
    const { start } = world.row(id);
    world.book.ended(id, world.run("w1"), { outcome: "failed", reason: "exit 1" });
    expect(world.row(id)).toMatchObject({ state: "waiting", reason: "exit 1", avoid: ["w1"] });
    world.pass(29);
    expect(world.queue).toEqual([]);
    world.pass(1);
    expect(world.row(id).start).toBeGreaterThan(start!);
    world.book.ended(id, world.run("w2"), { outcome: "timeout", reason: "too long" });
    expect(world.row(id)).toMatchObject({ state: "failed", cause: "timeout", reason: "too long" });
    // It can still be tried by hand.
    expect(world.store.descriptions.has(id)).toBe(true);
  });

  test("is free when a worker gives the job back, and the job keeps its place", () => {
    const world = new World();
    const id = world.make({ options: { lostRetries: 0 } });
    const { start } = world.row(id);
    for (let i = 1; i <= 50; i++) {
      world.book.ended(id, world.run(`w${i}`), { outcome: "evicted" });
      world.pass(60);
      expect(world.row(id)).toMatchObject({ state: "queued", start, losses: 0, failures: 0 });
    }
  });

  test("does not follow at once when a worker has nothing but trouble", () => {
    const world = new World();
    const id = world.make({ options: { lostRetries: Number.POSITIVE_INFINITY } });
    const delays: number[] = [];
    for (let i = 0; i < 9; i++) {
      world.book.ended(id, world.run("full"), { outcome: "no space" });
      const { notBefore } = world.row(id);
      delays.push(notBefore === null ? 0 : notBefore - world.wall);
      world.pass(60);
    }
    expect(delays).toEqual([0, 1, 2, 4, 8, 16, 32, 60, 60]);
  });

  test("does not follow when the client was removed while the last one ran", () => {
    const world = new World();
    const id = world.make();
    const attempt = world.run("w1");
    world.removed.add("alice");
    world.book.ended(id, attempt, { outcome: "evicted", reason: "shutting down" });
    expect(world.row(id)).toMatchObject({
      state: "cancelled",
      cause: "cancelled",
      described: false,
    });
    expect(world.row(id).reason).toContain("client was removed");
    expect(world.queue).toEqual([]);
  });

  test("ends when workers have failed it too often", () => {
    const world = new World();
    const id = world.make({ options: { lostRetries: 1 } });
    world.book.ended(id, world.run("w1"), { outcome: "no space", reason: "disk full" });
    world.book.ended(id, world.run("w2"), { outcome: "no space", reason: "disk full" });
    expect(world.row(id)).toMatchObject({ state: "failed", cause: "no space" });
    expect(world.row(id).reason).toBe(
      "Workers have failed it 2 times: it is not tried again. The last time: disk full",
    );
  });

  test("ends when the job has taken three workers down with it", () => {
    const world = new World({ lease: 10 });
    const id = world.make({ options: { lostRetries: Number.POSITIVE_INFINITY } });
    // What is lost before it begins is no evidence.
    world.offer("w0");
    world.book.outOfTouch("w0");
    world.pass(70);
    for (const worker of ["w1", "w2", "w3"]) {
      world.run(worker);
      world.book.outOfTouch(worker);
      world.pass(10);
      world.pass(60);
    }
    expect(world.row(id)).toMatchObject({ state: "failed", cause: "lost", suspicions: 3 });
    expect(world.row(id).reason).toMatch(/poison/);
    expect(world.row(id).avoid).toEqual(["w3", "w2", "w1", "w0"]);
  });

  test("by hand starts afresh, and is refused in words when there is nothing to start", () => {
    const world = new World({ keepFailed: 1000 });
    const id = world.make({ key: "k" });
    const isRetriable = (job: number) => world.book.isRetriable(world.row(job));
    expect(isRetriable(id)).toBe(false);
    expect(world.retry(id)).toEqual({
      kind: "refused",
      reason: `Job ${id} has not ended: it is queued.`,
    });
    world.book.ended(id, world.run("w1"), { outcome: "failed" });
    expect(isRetriable(id)).toBe(true);
    expect(world.retry(id)).toMatchObject({ kind: "again" });
    expect(world.row(id)).toMatchObject({ state: "queued", cause: null, ended: null, failures: 0 });
    expect(world.submit({ key: "k" })).toEqual({ kind: "known", id });
    expect(world.run("w2")).toBe(2);
    world.book.ended(id, 2, { outcome: "failed" });
    // The records may still say what they said before: the book knows better.
    world.pass(999);
    expect(world.retry(id)).toMatchObject({ kind: "again" });
    world.book.ended(id, world.run("w3"), { outcome: "failed" });
    world.pass(1001);
    const erased = { kind: "refused", reason: expect.stringMatching(/erased/) };
    expect(world.retry(id)).toEqual(erased);
    expect(isRetriable(id)).toBe(false);
    const good = world.make();
    world.book.ended(good, world.run("w1"), { outcome: "succeeded" });
    expect(world.retry(good)).toEqual(erased);
    expect(isRetriable(good)).toBe(false);
    expect(world.attemptsOf(id)).toEqual(["w1: failed", "w2: failed", "w3: failed"]);
  });

  test("by hand never has a number that was given before, however old the record is", () => {
    const world = new World();
    const id = world.make();
    world.book.ended(id, world.run("w1"), { outcome: "failed" });
    const old = structuredClone(world.row(id));
    world.retry(id);
    world.book.ended(id, world.run("w2"), { outcome: "failed" });
    expect(world.book.retry(old)).toMatchObject({ kind: "again" });
    expect(world.run("w3")).toBe(3);
  });
});

describe("a worker that knows no timeouts", () => {
  test("is told to stop", () => {
    const world = new World();
    const id = world.make({ options: { timeout: 100 } });
    world.run("old", id, false);
    world.pass(99);
    expect(world.row(id).state).toBe("running");
    world.pass(1);
    expect(world.row(id)).toMatchObject({ state: "failed", cause: "timeout" });
    expect(world.row(id).reason).toBe("It ran for longer than 100 s.");
    expect(world.stopped).toEqual([`${id}/1`]);
    expect(world.book.ended(id, 1, { outcome: "succeeded" })).toBe(false);
  });

  test("is not waited for before it has begun; and one of ours sees to it itself", () => {
    const world = new World();
    const slow = world.make({ options: { timeout: 100 } });
    const ours = world.make({ options: { timeout: 100 } });
    world.offer("old", slow, false);
    world.run("w1", ours);
    world.pass(1000);
    expect(world.row(slow).state).toBe("offered");
    expect(world.row(ours).state).toBe("running");
  });
});

describe("a job after others", () => {
  test("starts when all have succeeded", () => {
    const world = new World();
    const [a, b] = [world.make(), world.make()];
    const last = world.make({ options: { after: [b, a, b] } });
    expect(world.row(last)).toMatchObject({ state: "waiting", options: { after: [a, b] } });
    expect(world.book.waitsFor(last)).toEqual([a, b]);
    world.book.ended(a, world.run("w", a), { outcome: "succeeded" });
    expect(world.book.waitsFor(last)).toEqual([b]);
    world.book.ended(b, world.run("w", b), { outcome: "succeeded" });
    expect(world.queue).toEqual([last]);
    // One that comes later does not wait.
    world.pass(1000);
    expect(world.row(world.make({ options: { after: [a] } })).state).toBe("queued");
  });

  test("is cancelled with the chain that hangs on it, and can be tried again from its beginning", () => {
    const world = new World();
    const a = world.make();
    const b = world.make({ options: { after: [a] } });
    const c = world.make({ options: { after: [b] } });
    world.book.ended(a, world.run("w", a), { outcome: "failed" });
    expect(world.row(b)).toMatchObject({
      state: "cancelled",
      cause: "cancelled",
      reason: `Job ${a}, which it was to run after, has failed.`,
    });
    expect(world.row(c).reason).toBe(`Job ${b}, which it was to run after, was cancelled.`);
    world.pass(1000);
    const late = world.make({ options: { after: [a] } });
    expect(world.row(late).state).toBe("cancelled");
    expect(world.retry(b)).toEqual({
      kind: "refused",
      reason: `Job ${a}, which job ${b} runs after, has failed: retry that one first.`,
    });
    for (const id of [a, b, c]) expect(world.retry(id)).toMatchObject({ kind: "again" });
    for (const id of [a, b, c]) {
      expect(world.queue).toEqual([id]);
      world.book.ended(id, world.run("w", id), { outcome: "succeeded" });
    }
    expect(world.row(c).state).toBe("succeeded");
  });

  test("is refused when there is no such job, or it is not yet, or another client's", () => {
    const world = new World();
    const other = world.make({ client: "bob" });
    for (const id of [other, other + 1, 99]) {
      const result = world.submit({ options: { after: [id] } });
      const reason = `You have no job ${id} for this one to run after.`;
      expect(result).toEqual({ kind: "refused", reason });
    }
    world.book.cancel(other, "");
    expect(world.submit({ options: { after: [other] } }).kind).toBe("refused");
    world.pass(1000);
    expect(world.submit({ options: { after: [other] } }).kind).toBe("refused");
  });

  test("hears of an end in its turn when very many wait, even if the scheduler is killed in between", () => {
    const world = new World();
    const first = world.make();
    const ids = Array.from({ length: 2500 }, () => world.make({ options: { after: [first] } }));
    const chain = world.make({ options: { after: [ids.at(-1)!] } });
    world.book.ended(first, world.run("w", first), { outcome: "failed" });
    expect(world.book.count("waiting")).toBe(1501);
    expect(world.book.due()).toBeLessThan(world.steady);
    world.restart();
    world.pass(0);
    expect(world.book.count("waiting")).toBe(0);
    for (const id of [...ids, chain]) expect(world.row(id).state).toBe("cancelled");
    expect(new Set(world.ended).size).toBe(2502);
    expect(world.ended).toHaveLength(2502);
  });
});

describe("after a restart", () => {
  test("the queue is what it was, and who runs has a fresh lease", () => {
    const world = new World({ lease: 60 });
    const ids = Array.from({ length: 5 }, () => world.make());
    const [a, b, c, d, e] = ids as [number, number, number, number, number];
    world.run("w1", a);
    world.run("old", b, false);
    world.book.ended(c, world.run("w2", c), { outcome: "evicted" });
    const starts = ids.map((id) => world.row(id).start);
    world.book.outOfTouch("w1");
    world.pass(59);
    world.restart();
    expect(world.queue).toEqual([d, e, c, b]);
    expect(ids.map((id) => world.row(id).start)).toEqual(starts);
    expect(world.attemptsOf(b)).toEqual(["old: lost"]);
    world.pass(59);
    expect(world.row(a).state).toBe("out of touch");
    expect(world.book.resumed("w1", [{ job: a, attempt: 1, state: "ended" }])).toEqual(["goOn"]);
    expect(world.book.ended(a, 1, { outcome: "succeeded" })).toBe(true);
  });

  test("delays go on, though the clock was set", () => {
    const world = new World();
    const id = world.make({ options: { retries: 1, retryDelay: 300 } });
    world.book.ended(id, world.run("w1"), { outcome: "failed" });
    world.pass(100);
    world.restart();
    world.pass(199);
    expect(world.row(id).state).toBe("waiting");
    world.store.endTurn();
    world.wall -= 1_000_000;
    world.restart();
    world.pass(300);
    expect(world.row(id).state).toBe("queued");
  });

  test("jobs wait for others as before; one whose record was removed had succeeded", () => {
    const world = new World({ keepJobs: 100 });
    const [a, b] = [world.make(), world.make()];
    const last = world.make({ options: { after: [a, b] } });
    world.book.ended(a, world.run("w", a), { outcome: "succeeded" });
    world.pass(1000);
    expect(world.store.jobs.has(a)).toBe(false);
    world.restart();
    expect(world.book.waitsFor(last)).toEqual([b]);
    world.book.ended(b, world.run("w", b), { outcome: "succeeded" });
    expect(world.queue).toEqual([last]);
  });
});

describe("a submission that makes no sense is refused in words:", () => {
  test.each([
    [{ name: "x".repeat(201) }, /name "x+"… has 201 characters: use 200 at most/],
    [{ key: "k\n".repeat(500) }, /key "k\\nk.*"… has 1000 characters/],
    [{ options: { retries: -1 } }, /retries is -1/],
    [{ options: { retries: 0.5 } }, /retries is 0.5/],
    [{ options: { retries: Number.POSITIVE_INFINITY } }, /retries is Infinity/],
    [{ options: { lostRetries: Number.NaN } }, /lost-retries is NaN.*or infinite/],
    [{ options: { retryDelay: -1 } }, /retry-delay is -1 s/],
    [{ options: { retryDelay: Number.NaN } }, /retry-delay is NaN s/],
    [{ options: { timeout: 0 } }, /timeout is 0 s/],
    [{ options: { timeout: Number.POSITIVE_INFINITY } }, /timeout is Infinity s/],
    [{ options: { after: [0] } }, /0 is not the number of a job/],
    [{ options: { after: Array.from({ length: 10_001 }, (_, i) => i + 1) } }, /after 10001 others/],
  ])("%#", (submission, reason) => {
    const world = new World();
    const result = world.submit(submission);
    expect(result).toEqual({ kind: "refused", reason: expect.stringMatching(reason) });
    expect(world.store.nextId()).toBe(1);
  });
});
