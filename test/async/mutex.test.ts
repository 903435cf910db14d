/*
 * One at a time.
 */

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { unlessAborted } from "../../src/async/abort.js";
import { deferred } from "../../src/async/index.js";
import { NamedMutex } from "../../src/async/mutex.js";

describe("a mutex by name", () => {
  it("serves in order, and lets those leave who do not want to wait", async () => {
    const mutex = new NamedMutex();
    const leave = new AbortController();
    const gate = deferred();
    const events: string[] = [];
    const enter = (name: string, label: string, signal?: AbortSignal) =>
      mutex.hold(name, signal, async () => {
        events.push(label);
        await gate.promise;
      });
    const first = enter("a", "first");
    const left = enter("a", "left", leave.signal);
    const third = enter("a", "third");
    const other = enter("b", "other");
    leave.abort(new Error("left"));
    await expect(left).rejects.toThrow("left");
    await nextTurn();
    expect(events).toEqual(["first", "other"]);
    gate.resolve();
    await Promise.all([first, third, other]);
    expect(events).toEqual(["first", "other", "third"]);
  });

  it("is held though the last who waited for it has left", async () => {
    const mutex = new NamedMutex();
    const [gate, events] = [deferred(), [] as string[]];
    const first = mutex.hold("a", undefined, async () => {
      await gate.promise;
      events.push("first");
    });
    const left = mutex.hold("a", AbortSignal.abort(new Error("left")), async () => {});
    await expect(left).rejects.toThrow("left");
    const next = mutex.hold("a", undefined, async () => void events.push("next"));
    await nextTurn();
    gate.resolve();
    await Promise.all([first, next]);
    expect(events).toEqual(["first", "next"]);
  });

  it("keeps nothing of names that nobody holds", async () => {
    const mutex = new NamedMutex();
    const gate = deferred();
    const ends = Promise.allSettled([
      mutex.hold("a", undefined, () => gate.promise),
      mutex.hold("a", undefined, () => Promise.reject(new Error("failed"))),
      mutex.hold("a", AbortSignal.abort(), async () => {}),
      mutex.hold("b", undefined, () => gate.promise),
    ]);
    expect(mutex.size).toBe(2);
    gate.resolve();
    await ends;
    await nextTurn();
    expect(mutex.size).toBe(0);
  });
});

describe("waiting that can be given up", () => {
  const never = new Promise<void>(() => {});

  it("ends with the signal's reason, or with another", async () => {
    const leave = new AbortController();
    const waiting = unlessAborted(never, leave.signal);
    const renamed = unlessAborted(never, leave.signal, () => new Error("renamed"));
    leave.abort(new Error("left"));
    await expect(waiting).rejects.toThrow("left");
    await expect(renamed).rejects.toThrow("renamed");
    await expect(unlessAborted(never, leave.signal)).rejects.toThrow("left");
  });

  it("ends as what is waited for does, with a signal or without", async () => {
    const { signal } = new AbortController();
    for (const each of [signal, undefined]) {
      expect(await unlessAborted(Promise.resolve(1), each)).toBe(1);
      await expect(unlessAborted(Promise.reject(new Error("no")), each)).rejects.toThrow("no");
    }
  });
});
