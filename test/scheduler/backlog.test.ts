/** The backlog by itself: a long queue of several clients' jobs, and what it costs. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Backlog } from "../../src/scheduler/pool/backlog.js";
import type { PoolClient } from "../../src/scheduler/pool/client.js";
import { Demand } from "../../src/scheduler/pool/demand.js";
import { reverseMerge } from "../../src/scheduler/pool/reverse-merge.js";
import { Ticket, ticketBefore } from "../../src/scheduler/pool/ticket.js";
import { testPool } from "./support.js";

/** A backlog whose comparisons are counted, and clients with queues in it. */
function counted(clientCount: number) {
  const counter = { comparisons: 0 };
  const backlog = new Backlog<string>((a, b) => {
    counter.comparisons++;
    return ticketBefore(a, b);
  });
  const clients = Array.from({ length: clientCount }, () => {
    const queues = [backlog.openQueue(), backlog.openQueue()] as const;
    return {
      queueFor: (urgent: boolean) => queues[urgent ? 0 : 1],
      placeOf: (each: Ticket<string>) => each.home?.place(each) ?? null,
    } as unknown as PoolClient<string>;
  });
  const demand = new Demand<string>([]);
  let sequence = 0;
  const ticket = (client: number, start: number, urgent = false) =>
    new Ticket(clients[client]!, "job", urgent, start, sequence++, demand);
  return { backlog, counter, ticket };
}

test("it is in order whatever comes in, goes out and is cancelled", () => {
  const step = fc.record({
    client: fc.nat(2),
    urgent: fc.boolean(),
    // Mostly growing, as a client's start times do; else one out of order.
    back: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(400)),
    action: fc.noBias(fc.nat(9)),
    which: fc.noBias(fc.nat()),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 1500, size: "max" }), fc.nat(9), (steps, emptying) => {
      const { backlog, ticket } = counted(3);
      const sorted: Ticket<string>[] = [];
      for (const [i, { client, urgent, back, action, which }] of steps.entries()) {
        // Some histories rather fill the queue, others rather empty it: from both ends, and out of
        // the middle.
        if (action >= emptying || sorted.length === 0) {
          const added = ticket(client, Math.floor(i / 3) - back, urgent);
          backlog.enqueue(added);
          const index = sorted.findIndex((other) => ticketBefore(added, other));
          sorted.splice(index < 0 ? sorted.length : index, 0, added);
        } else if (action % 3 === 0) {
          expect(backlog.dequeue()).toBe(sorted.shift());
        } else {
          const [cancelled] = sorted.splice(action % 3 === 1 ? which % sorted.length : -1, 1);
          cancelled!.home!.remove(cancelled!);
          expect(cancelled!.queued).toBe(false);
        }
        expect(backlog.size).toBe(sorted.length);
      }
      expect(backlog.urgent).toBe(sorted.filter(({ urgent }) => urgent).length);
      const { clientQueues, outOfOrder } = backlog.snapshot();
      const listed = [...reverseMerge(clientQueues, outOfOrder, ticketBefore)].filter(
        (t) => t !== null,
      );
      expect(listed.reverse()).toEqual(sorted);
      for (const expected of sorted) expect(backlog.dequeue()).toBe(expected);
      expect(backlog.dequeue()).toBeUndefined();
    }),
    { numRuns: 200 },
  );
});

test("what is left of a client's queue after most of it was cancelled", () => {
  const { backlog, ticket } = counted(1);
  const tickets = Array.from({ length: 2000 }, (_, i) => ticket(0, i));
  const cancel = (each: Ticket<string>) => each.home!.remove(each);
  for (const each of tickets) backlog.enqueue(each);
  for (let i = 0; i < 1100; i++) backlog.dequeue();
  // Of the rest only each tenth stays, so that the queue closes its ranks.
  const left = tickets.slice(1100).filter((each, i) => i % 10 === 0 || cancel(each));
  expect(backlog.snapshot().clientQueues[0]!.length).toBeLessThan(4 * left.length);
  // All of them can still be found: to be cancelled, each third, and to be taken.
  const expected = left.filter((each, i) => i % 3 > 0 || cancel(each));
  const late = ticket(0, 5000);
  backlog.enqueue(late);
  for (const each of [...expected, late]) expect(backlog.dequeue()).toBe(each);
  expect(backlog.size).toBe(0);
});

describe("a client's long queue", () => {
  const LENGTH = 20_000;

  function long() {
    const { backlog, ticket } = counted(1);
    const tickets = Array.from({ length: LENGTH }, (_, i) => ticket(0, i));
    for (const each of tickets) backlog.enqueue(each);
    const cancel = (which: (i: number) => boolean) => {
      for (const [i, each] of tickets.entries())
        if (each.queued && which(i)) each.home!.remove(each);
    };
    const more = (count: number) => {
      for (let i = 0; i < count; i++) {
        tickets.push(ticket(0, tickets.length));
        backlog.enqueue(tickets.at(-1)!);
      }
    };
    /** Whether just those that are still queued come out, in order. */
    const expectInOrder = () => {
      const left = tickets.filter(({ queued }) => queued);
      expect(backlog.size).toBe(left.length);
      for (const each of left) if (backlog.dequeue() !== each) expect.fail("out of order");
      expect(backlog.dequeue()).toBe(undefined);
    };
    return { backlog, tickets, cancel, more, expectInOrder };
  }

  test("knows exactly where its tickets are", () => {
    const { backlog, tickets } = long();
    for (let i = 0; i < 5000; i++) backlog.dequeue();
    for (let i = 5000; i < LENGTH; i += 97) {
      expect(tickets[i]!.place()).toEqual({ worker: null, ahead: i - 5000, length: 15_000 });
    }
  });

  test.each<[string, (i: number) => boolean]>([
    ["at its front", (i) => i < 9000],
    ["in its middle", (i) => i > 4000 && i < 13_000],
    ["at its end", (i) => i > 7000],
    ["here and there", (i) => i % 3 === 0],
    ["nearly everywhere", (i) => i % 50 !== 7],
    ["all of it", () => true],
  ])("goes on when much is cancelled %s", (_, which) => {
    const { backlog, cancel, more, expectInOrder } = long();
    for (let i = 0; i < 100; i++) backlog.dequeue();
    cancel(which);
    more(6000);
    for (let i = 0; i < 100; i++) backlog.dequeue();
    cancel((i) => i % 11 === 0);
    more(10);
    expectInOrder();
    more(5000);
    expectInOrder();
  });

  test("knows about where they are when many were cancelled", () => {
    const { tickets, cancel } = long();
    cancel((i) => (i > 4000 && i < 13_000) || i % 20 !== 0);
    const left = tickets.filter(({ queued }) => queued);
    for (const [ahead, each] of left.entries()) {
      expect(Math.abs(each.place()!.ahead - ahead)).toBeLessThan(left.length / 10);
    }
  });
});

describe("what it costs does not grow with its length", () => {
  /** The comparisons for each of 1000 operations when `length` jobs of ten clients are queued. */
  const costs = (length: number) => {
    const { backlog, counter, ticket } = counted(10);
    const tickets = Array.from({ length }, (_, i) => ticket(i % 10, i));
    for (const each of tickets) backlog.enqueue(each);
    const measure = (operation: (i: number) => void) => {
      counter.comparisons = 0;
      for (let i = 0; i < 1000; i++) operation(i);
      return counter.comparisons / 1000;
    };
    return {
      enqueue: measure((i) => backlog.enqueue(ticket(i % 10, length + i))),
      dequeue: measure(() => backlog.dequeue()),
      cancel: measure((i) => {
        const cancelled = tickets[length - 1 - 3 * i]!;
        cancelled.home!.remove(cancelled);
      }),
    };
  };

  test("for jobs that come in their clients' order", () => {
    const short = costs(5000);
    const long = costs(100_000);
    expect(long.enqueue).toBeLessThanOrEqual(1);
    expect(long.dequeue).toBeLessThanOrEqual(10);
    expect(long.cancel).toBeLessThanOrEqual(1);
    expect(long).toEqual(short);
  });

  test("for jobs that come back, beyond the logarithm of their number", () => {
    const { backlog, counter, ticket } = counted(1);
    backlog.enqueue(ticket(0, 1e9));
    const count = 50_000;
    // In an order that is far from sorted.
    for (let i = 0; i < count; i++) backlog.enqueue(ticket(0, (i * 7919) % count));
    expect(counter.comparisons / count).toBeLessThan(2 + Math.log2(count));
    counter.comparisons = 0;
    for (let i = 0; i < count; i++) backlog.dequeue();
    expect(counter.comparisons / count).toBeLessThan(2 + 2 * Math.log2(count));
  });
});

test("no job of a pool looks at the queue, or at more workers than hold its hint", () => {
  const lookups = { holders: 0 };
  const none = {
    holders: () => {
      lookups.holders++;
      return [];
    },
    markCached: () => {},
    cached: () => [],
    rate: () => 1,
    setRate: () => {},
    removeRate: () => {},
    knownWorkers: () => [],
    isKnown: () => true,
    isPaused: () => false,
    addWorker: () => {},
    setPaused: () => {},
    removeWorker: () => {},
  };
  const { pool } = testPool({ store: none });
  const client = pool.client("ann");
  for (let i = 0; i < 10_000; i++) client.submit({ name: "job", hint: `hint-${i}` });
  expect(lookups.holders).toBe(10_000);
  const worker = pool.register("w", 1)!;
  worker.setActive(true, 1);
  for (let i = 0; i < 1000; i++) worker.pop(() => {});
  expect(lookups.holders).toBe(11_000);
});

describe("a ticket's place", () => {
  test("is how many come before it, whoever's they are", () => {
    const step = fc.record({ client: fc.nat(3), urgent: fc.boolean(), back: fc.nat(30) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.nat(50), (steps, taken) => {
        const { backlog, ticket } = counted(4);
        const sorted = steps.map(({ client, urgent, back }, i) => ticket(client, i - back, urgent));
        for (const each of sorted) backlog.enqueue(each);
        sorted.sort((a, b) => (ticketBefore(a, b) ? -1 : 1));
        for (const each of sorted.splice(0, taken)) expect(backlog.dequeue()).toBe(each);
        for (const [index, each] of sorted.entries()) {
          expect(each.home!.place(each)).toEqual({
            worker: null,
            ahead: index,
            length: sorted.length,
          });
        }
      }),
    );
  });

  test("is an estimate when jobs were cancelled, and never beyond the queue", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 2, maxLength: 400 }), (kept) => {
        const { backlog, ticket } = counted(1);
        const all = kept.map((_, i) => ticket(0, i));
        for (const each of all) backlog.enqueue(each);
        for (const [i, each] of all.entries()) if (!kept[i]) each.home!.remove(each);
        const left = all.filter((each) => each.queued);
        for (const each of left) {
          const { ahead, length } = each.home!.place(each);
          expect(length).toBe(left.length);
          expect(ahead).toBeGreaterThanOrEqual(0);
          expect(ahead).toBeLessThan(length);
        }
        // Who is first, and who is not, is certain.
        for (const each of left) {
          expect(each.home!.place(each).ahead === 0).toBe(each === left[0]);
        }
      }),
    );
  });

  test("is found by few comparisons in a long queue", () => {
    const { backlog, counter, ticket } = counted(10);
    const all = Array.from({ length: 200_000 }, (_, i) => ticket(i % 10, i));
    for (const each of all) backlog.enqueue(each);
    counter.comparisons = 0;
    expect(all[123_456]!.home!.place(all[123_456]!)).toMatchObject({ ahead: 123_456 });
    expect(counter.comparisons).toBeLessThan(10 * 20);
  });
});
