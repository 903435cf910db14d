/** Decisions of the autoscaler: how many more, which end, and what it says of that. */
import { describe, expect, it } from "vitest";
import { elsewhere } from "../../src/autoscaler/decision/index.js";
import { Scene } from "./scene.js";

const NOTHING = { launch: 0, cancel: [], drain: [], stop: [] };

describe("a queue that grows", () => {
  it("is given as many as are wanted, in one line that says why", () => {
    const scene = new Scene().wants(12, { queued: 40, seconds: 90.4, running: 8 });
    expect(scene.look()).toEqual({
      ...NOTHING,
      launch: 10,
      why: "want 12: 40 queued jobs of ~90 s, 8 running, target wait 5m; have 0; start 10; no more: backlog 10",
    });
  });

  it("does not ask again for what is on its way", () => {
    const scene = new Scene().wants(3, { queued: 3 });
    expect(scene.look().launch).toBe(3);
    scene.launch("a", "b", "c");
    expect(scene.look(10)).toMatchObject(NOTHING);
    scene.begin("a", "b", "c");
    expect(scene.look(10).why).toBe(
      "want 3: 3 queued jobs of unknown length, 0 running, target wait 5m; have 3, 3 of them on their way",
    );
    scene.worker("a", 1).worker("b").worker("c");
    expect(scene.look(10)).toMatchObject(NOTHING);
  });

  it("is not asked for again while an engine does not list it yet", () => {
    const scene = new Scene().wants(2);
    scene.look();
    scene.history.launched(["a", "b"], scene.now);
    expect(scene.look(10).launch).toBe(0);
    // What never comes does not count for ever.
    expect(scene.look(200).launch).toBe(2);
  });

  it.each([
    ["max", { max: 2 }, "max 2"],
    ["backlog", { backlog: 2 }, "backlog 2"],
    ["perMinute", { perMinute: 2 }, "2 a minute"],
  ])("is bounded by %s", (_name, limits, told) => {
    const { launch, why } = new Scene(limits).wants(100).look();
    expect(launch).toBe(2);
    expect(why).toContain(`; start 2; no more: ${told}`);
  });

  it("goes on after a minute, and when some have come", () => {
    const scene = new Scene({ perMinute: 2, backlog: 3 }).wants(9);
    scene.look();
    scene.launch("a", "b");
    expect(scene.look(59).launch).toBe(0);
    expect(scene.look(2).launch).toBe(1);
    scene.launch("c").begin("a", "b").worker("a");
    // One of them is in the engine's queue.
    expect(scene.look(61).launch).toBe(2);
  });

  it("counts workers by their capacity, and those of others", () => {
    const scene = new Scene().wants(5, { capacity: 2 });
    scene.elsewhere = { all: 1.5, before: 1.5, strangers: 1.5 };
    scene.launch("a").begin("a").worker("a", 0, { capacity: 4 });
    // 5 less 1.5 elsewhere, less 2 here.
    expect(scene.look().launch).toBe(2);
  });

  it("does not count those that are given no jobs, nor seek places for what these still run", () => {
    const scene = new Scene().wants(3, { running: 1 });
    scene.launch("a").begin("a").worker("a", 1, { active: false });
    expect(scene.look().launch).toBe(2);
  });

  it("has its least in any case", () => {
    expect(new Scene({ min: 2 }).wants(0).look().launch).toBe(2);
  });
});

describe("a queue that shrinks", () => {
  /** Three workers, of which `b` runs a job, and one instance that is pending. */
  function busy(): Scene {
    const scene = new Scene().wants(4);
    scene.look();
    scene.launch("a", "b", "c", "d").begin("a", "b", "c");
    return scene.worker("a").worker("b", 1).worker("c");
  }

  it("has workers end after the cool-down, pending ones first, busy ones last", () => {
    const scene = busy();
    scene.look(10);
    scene.wants(1, { running: 1 });
    expect(scene.look(10)).toMatchObject(NOTHING);
    expect(scene.look(280)).toMatchObject(NOTHING);
    expect(scene.look(40)).toMatchObject({
      ...NOTHING,
      cancel: ["d"],
      drain: ["host-a", "host-c"],
      why: expect.stringContaining("; call off 1; have 2 end"),
    });
  });

  it("does not begin with it before it has seen a whole cool-down", () => {
    const scene = busy();
    scene.wants(0);
    expect(new Scene().wants(0).look()).toMatchObject(NOTHING);
    expect(scene.look(299)).toMatchObject(NOTHING);
  });

  it("keeps what was wanted in between", () => {
    const scene = busy();
    scene.wants(1);
    scene.look(290);
    scene.wants(3);
    scene.look(5);
    scene.wants(1);
    expect(scene.look(200)).toMatchObject({ cancel: ["d"], drain: [] });
    expect(scene.look(200)).toMatchObject({ cancel: ["d"], drain: ["host-a", "host-c"] });
  });

  it("keeps its least", () => {
    const scene = new Scene({ min: 1 }).wants(2);
    scene.look();
    scene.launch("a", "b").begin("a", "b").worker("a").worker("b").wants(0);
    scene.look(10);
    expect(scene.look(400).drain).toEqual(["host-a"]);
  });

  it("leaves alone what cannot be called off, and what has not connected", () => {
    const scene = busy();
    scene.can = { cancel: false, stop: false };
    scene.launch("e").begin("e").wants(0);
    scene.look(10);
    expect(scene.look(400)).toMatchObject({
      cancel: [],
      drain: ["host-a", "host-c", "host-b"],
      stop: [],
    });
  });

  it("tells no worker twice", () => {
    const scene = busy();
    scene.wants(0);
    scene.look(10);
    expect(scene.look(400).drain).toHaveLength(3);
    for (const id of ["a", "b", "c"]) scene.worker(id, 0, { active: false });
    expect(scene.look(10).drain).toEqual([]);
  });

  it("tells no other one in place of one that ends, though its instance is still there", () => {
    const scene = busy();
    scene.wants(1, { running: 1 });
    scene.look(10);
    for (const worker of scene.look(400).drain) scene.history.toldToEnd(worker);
    // They have hung up, and the engine has not noticed.
    scene.leave("d");
    scene.members = scene.members.filter(({ name }) => name === "host-b");
    expect(scene.look(10)).toMatchObject(NOTHING);
    expect(scene.look(10).why).toContain("have 1, 2 ending or without work");
  });

  it("does not count those that were forgotten because they have ended", () => {
    const scene = busy();
    scene.look(10);
    scene.members = scene.members.filter(({ name }) => name !== "host-a");
    scene.departed.push("host-a");
    expect(scene.look(10).launch).toBe(1);
  });
});

describe("an instance without a worker", () => {
  it("is stopped when none has come in time", () => {
    const scene = new Scene().wants(1);
    scene.look();
    scene.launch("a");
    expect(scene.look(5000).stop).toEqual([]);
    scene.begin("a");
    scene.look(10);
    expect(scene.look(600).stop).toEqual([]);
    expect(scene.look(1).stop).toEqual([{ id: "a", why: "no worker of it has come within 10m" }]);
  });

  it("is stopped when its worker has been gone for long", () => {
    const scene = new Scene().wants(1);
    scene.look();
    scene.launch("a").begin("a").worker("a");
    scene.look(10);
    scene.members = [];
    // It may come back at once, and counts; then another one takes its place.
    expect(scene.look(50)).toMatchObject(NOTHING);
    expect(scene.look(50).launch).toBe(1);
    expect(scene.look(500).stop).toEqual([]);
    expect(scene.look(10).stop).toEqual([{ id: "a", why: "its worker has been gone for 10m" }]);
  });

  it("is never stopped while it may still run a job", () => {
    const scene = new Scene().wants(1);
    scene.look();
    scene.launch("a").begin("a").worker("a", 1);
    scene.look(10);
    scene.worker("a", 1, { connected: false, capacity: 0 });
    expect(scene.look(10_000)).toMatchObject(NOTHING);
  });
});

describe("an engine that does not do as it is told", () => {
  it("is left alone after failures, each time for longer, up to a quarter of an hour", () => {
    const scene = new Scene().wants(1);
    const pauses: number[] = [];
    for (let n = 0; n < 9; n++) {
      expect(scene.look().launch).toBe(1);
      scene.history.launchFailed("sbatch failed", scene.now);
      const before = scene.now;
      while (scene.look(1).launch === 0);
      pauses.push(scene.now - before);
    }
    expect(pauses).toEqual([15, 30, 60, 120, 240, 480, 900, 900, 900]);
    scene.history.launchFailed("sbatch failed: Invalid account", scene.now);
    expect(scene.look(600).why).toContain("; start none for 5m: sbatch failed: Invalid account");
  });

  it("forgets its failures when something was accepted", () => {
    const scene = new Scene().wants(1);
    scene.history.launchFailed("no", scene.now);
    scene.history.launchFailed("no", scene.now);
    scene.look(30);
    scene.launch("a");
    scene.history.launchFailed("no", scene.now);
    scene.leave("a");
    scene.look(14);
    expect(scene.history.paused(scene.now)?.seconds).toBe(1);
  });

  it("is not flooded with instances that end without a worker", () => {
    const scene = new Scene({ backlog: 2 }).wants(2);
    let launched = 0;
    for (let n = 0; launched < 1000 && n < 6 * 60; n++) {
      const { launch } = scene.look(10);
      const ids = Array.from({ length: launch }, () => `i-${launched++}`);
      scene.launch(...ids).begin(...ids);
      scene.look();
      scene.leave(...ids);
    }
    // An hour of it.
    expect(launched).toBeLessThan(40);
    expect(scene.look().why).toMatch(/instances in a row ended without a worker, at last i-\d+$/);
  });

  it("counts a worker that came and went between two looks as one that came", () => {
    const scene = new Scene().wants(2);
    for (let n = 0; n < 10; n++) {
      scene.look(60);
      scene.launch(`i-${n}`).begin(`i-${n}`);
      scene.departed.push(`host-i-${n}`);
      scene.leave(`i-${n}`);
    }
    scene.look(10);
    expect(scene.history.paused(scene.now)).toBeNull();
  });

  it("is no worse for what was called off", () => {
    const scene = new Scene().wants(2);
    for (let n = 0; n < 10; n++) {
      scene.launch(`i-${n}`);
      scene.look(10);
      scene.history.calledOff(`i-${n}`);
      scene.leave(`i-${n}`);
      scene.look(10);
    }
    expect(scene.history.paused(scene.now)).toBeNull();
  });
});

describe("groups of a pool", () => {
  const members = [
    { name: "desktop", connected: true, active: true, capacity: 2, running: 0 },
    { name: "n1-a", connected: true, active: true, capacity: 1, running: 0 },
    { name: "n2-b", connected: true, active: true, capacity: 1, running: 1 },
    { name: "n3-c", connected: true, active: false, capacity: 1, running: 1 },
  ];
  const groups = [
    { ids: new Set(["a"]), coming: 2 },
    { ids: new Set(["b", "c"]), coming: 1 },
  ];

  it("count what is there or coming in others; the last one shrinks first", () => {
    const of = (index: number) => elsewhere({ capacity: 1 }, members, groups, index);
    expect(of(0)).toEqual({ before: 2, all: 2 + 2, strangers: 2 });
    expect(of(1)).toEqual({ before: 2 + 3, all: 2 + 3, strangers: 2 });
  });
});
