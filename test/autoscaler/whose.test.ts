/** Whose an instance is: what is never stopped, nor told to end, by mistake. */
import { describe, expect, it } from "vitest";
import { History } from "../../src/autoscaler/decision/index.js";
import { labelOf } from "../../src/autoscaler/driver.js";
import { Scene } from "./scene.js";

/** With one instance that was asked for, and runs. */
function started(id = "17"): Scene {
  const scene = new Scene().wants(1);
  scene.look();
  scene.launch(id).begin(id);
  return scene;
}

describe("names that end alike", () => {
  const old = { name: "zz-17", connected: false, active: true, capacity: 0, running: 0 };

  it.each(["before", "after"])("do not hide a busy worker, listed %s it", (order) => {
    const scene = started().worker("17", 1);
    if (order === "after") scene.members.push(old);
    else scene.members.unshift(old);
    for (let n = 0; n < 100; n++) expect(scene.look(30).stop).toEqual([]);
    scene.wants(0);
    expect(scene.look(400).drain).toEqual(["host-17"]);
  });

  it("count the jobs of all of them", () => {
    const scene = started().worker("17", 1);
    scene.look(10);
    scene.worker("17", 1, { connected: false, capacity: 0 });
    scene.members.push(old);
    expect(scene.look(10_000).stop).toEqual([]);
  });

  it("have nobody told to end if it is not known who is meant", () => {
    const scene = started().worker("17");
    scene.look(10);
    scene.members.push({ ...old, connected: true, capacity: 1 });
    scene.wants(0);
    expect(scene.look(400).drain).toEqual([]);
  });
});

describe("an instance that another autoscaler may have asked for", () => {
  it("is never stopped, unless its worker was seen", () => {
    const scene = new Scene().wants(0);
    scene.instances.push({ id: "theirs", phase: "running" });
    scene.look();
    const { stop, why } = scene.look(10_000);
    expect(stop).toEqual([]);
    expect(why).toContain("leave 1 alone that may be others'");
    scene.worker("theirs");
    scene.look(10);
    scene.members = [];
    expect(scene.look(700).stop).toMatchObject([{ id: "theirs" }]);
  });

  it("nor because a worker is remembered whose name ends with its id", () => {
    const scene = new Scene().wants(0);
    scene.instances.push({ id: "17", phase: "running" });
    scene.members.push({ name: "x-17", connected: false, active: true, capacity: 0, running: 0 });
    scene.look();
    expect(scene.look(10_000).stop).toEqual([]);
  });
});

describe("workers whose names have no id", () => {
  it("keep instances of a group from being stopped in which no worker was ever found", () => {
    const scene = started("a");
    scene.elsewhere = { all: 1, before: 1, strangers: 1 };
    scene.look();
    expect(scene.look(10_000).stop).toEqual([]);
    scene.launch("b").begin("b").worker("b");
    expect(scene.look(10).stop).toMatchObject([{ id: "a" }]);
  });
});

describe("time in which nobody could look", () => {
  function watched(): Scene {
    const scene = started("working").worker("working");
    Object.assign(scene, { history: new History(60) });
    scene.look();
    scene.launch("starting").begin("starting");
    scene.history.launched(["working"], scene.now);
    for (let n = 0; n < 10; n++) scene.look(30);
    return scene;
  }

  it("does not count: no worker could connect", () => {
    const scene = watched();
    scene.members = [];
    expect(scene.look(1200)).toMatchObject({ launch: 0, stop: [] });
    // Its last minute, and then what was left.
    for (let n = 0; n < 11; n++) expect(scene.look(30).stop).toEqual([]);
    const stopped: string[] = [];
    for (let n = 0; n < 20; n++) stopped.push(...scene.look(30).stop.map(({ id }) => id));
    expect(new Set(stopped)).toEqual(new Set(["starting", "working"]));
  });

  it("is no time in which fewer were wanted", () => {
    const scene = watched();
    scene.worker("starting").look(30);
    scene.wants(0);
    expect(scene.look(1200).drain).toEqual([]);
    for (let n = 0; n < 9; n++) expect(scene.look(30).drain).toEqual([]);
    expect(scene.look(30).drain).toEqual(["host-starting", "host-working"]);
  });
});

it("a pool whose name is no label is known by its hash", () => {
  expect(labelOf("linux-x86_64")).toBe("linux-x86_64");
  expect(labelOf("a b")).toMatch(/^pool-[0-9a-f]{16}$/);
  expect(labelOf("a b")).not.toBe(labelOf("a,b"));
  expect(labelOf("x".repeat(64))).toMatch(/^pool-/);
});
