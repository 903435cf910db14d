/** What is done about memory when many jobs came and went. */
import { constants, PerformanceObserver } from "node:perf_hooks";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MemoryRelease, nudgeCollector } from "../../src/scheduler/services/memory-release.js";

describe("a rush", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  function begin(): {
    come(tickets: number): void;
    go(tickets: number): void;
    collections: number;
  } {
    const seen = {
      collections: 0,
      come: (tickets: number) => repeat(tickets, () => memory.enter()),
      go: (tickets: number) => repeat(tickets, () => memory.leave()),
    };
    const memory = new MemoryRelease(() => void seen.collections++);
    return seen;
  }

  function repeat(times: number, action: () => void): void {
    for (let i = 0; i < times; i++) action();
  }

  it("has its garbage collected when hardly any of its tickets are left", () => {
    const tickets = begin();
    tickets.come(100_000);
    tickets.go(99_000);
    vi.advanceTimersByTime(60_000);
    expect(tickets.collections).toBe(0);
    tickets.go(1);
    vi.advanceTimersByTime(1000);
    expect(tickets.collections).toBe(1);
    tickets.go(999);
    vi.advanceTimersByTime(60_000);
    expect(tickets.collections).toBe(4);
  });

  it("is not what happens every day", () => {
    const tickets = begin();
    for (let day = 0; day < 10; day++) {
      tickets.come(9_999);
      tickets.go(9_999);
    }
    vi.advanceTimersByTime(60_000);
    expect(tickets.collections).toBe(0);
  });

  it("that begins again is not disturbed", () => {
    const tickets = begin();
    tickets.come(10_000);
    tickets.go(10_000);
    vi.advanceTimersByTime(1000);
    tickets.come(10_000);
    vi.advanceTimersByTime(60_000);
    expect(tickets.collections).toBe(1);
    tickets.go(10_000);
    vi.advanceTimersByTime(60_000);
    expect(tickets.collections).toBe(5);
  });
});

it("A nudge makes the runtime look for garbage", async () => {
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries() as { detail?: { kind?: number } }[]) {
      if (detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR) collections++;
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  // The heap of a test is large: without being asked, it is not looked at for long.
  nudgeCollector();
  await expect.poll(() => collections, { timeout: 50_000 }).toBeGreaterThan(0);
  observer.disconnect();
});
