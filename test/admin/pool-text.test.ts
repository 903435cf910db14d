/** What `top` reads out of the text of `show`: the same numbers that the scheduler would tell. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PoolTextError, parsePoolText } from "../../src/admin/pool-text.js";
import { INACTIVE } from "../../src/scheduler/pool/inactive-reasons.js";
import { poolState } from "../../src/scheduler/services/pool-state.js";
import { connect, job, testPool } from "../scheduler/support.js";

/** Names of all sorts, but none that looks like a part of the format. */
const name = fc.stringMatching(/^[a-zé][a-z0-9._é-]{0,30}$/);

test("it says what the scheduler says, whatever has happened in the pool", () => {
  const step = fc.record({
    action: fc.constantFrom("submit", "submit", "submit", "pop", "pause", "leave", "rate", "wait"),
    who: fc.nat(3),
    hint: fc.nat(4),
    urgent: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(name, { minLength: 8, maxLength: 8 }),
      fc.array(step, { maxLength: 80 }),
      (names, steps) => {
        const { pool, time } = testPool();
        const [clients, workers] = [names.slice(0, 4), names.slice(4)];
        for (const { action, hint, urgent, who } of steps) {
          const worker = () =>
            pool.workers.get(workers[who]!) ?? connect(pool, workers[who]!, who + 1);
          const client = pool.client(clients[who]!);
          if (action === "submit")
            client.submit(job("job", hint ? `hint-${hint}` : ""), { urgent });
          else if (action === "pop") worker().pop(() => {});
          else if (action === "pause") worker().setActive(urgent, INACTIVE.adminPause);
          else if (action === "leave") worker().release();
          else if (action === "rate") client.setRate(who + 1);
          else time.now += hint;
        }
        pool.settle();
        const told = poolState(pool, time.now, { ...pool.metrics(), workersWanted: 1 });
        const read = parsePoolText(pool.show());
        expect(read).toEqual({
          ...told,
          // Connected ones come first there.
          workers: told.workers
            .map((each) => ({ ...each, capacity: null }))
            .sort((a, b) => Number(b.connected) - Number(a.connected)),
          clients: told.clients.map((each) => ({ ...each, delay: expect.any(Number) })),
          totals: null,
          obstacles: [],
          workersWanted: null,
        });
        for (const [i, { delay }] of read.clients.entries()) {
          const exact = Math.max(0, told.clients[i]!.delay);
          expect(Math.abs(delay - exact)).toBeLessThanOrEqual(exact < 120 ? 0.5 : 30);
        }
      },
    ),
  );
});

describe("text that is out of the ordinary", () => {
  const around = (middle: string) =>
    `capacity: 1\nqueue: (backlog) []\nregistered:\n${middle}disconnected:\nclients: a(1)\n`;

  test("names and hints with blanks and colons", () => {
    const { pool } = testPool();
    const hinted = pool.client("my client");
    connect(pool, "a worker (of ours)", 1);
    hinted.submit(job("x: y (z) [w]"));
    const { backlog, clients, workers } = parsePoolText(pool.show());
    expect(backlog).toEqual({ urgent: 0, other: 1 });
    expect(workers.map((each) => each.name)).toEqual(["a worker (of ours)"]);
    expect(clients).toHaveLength(1);
  });

  test("a line that makes no sense is left out", () => {
    expect(parsePoolText(around("  what?\n  w (0): [] (0 running)\n")).workers).toHaveLength(1);
  });

  test.each(["", "hello", "capacity: 3\n", "queue: (ready) []\nregistered:\ndisconnected:\n"])(
    "%j is no description of a pool",
    (text) => {
      expect(() => parsePoolText(text)).toThrow(PoolTextError);
    },
  );

  test("anything at all is read or refused", () => {
    const line = fc.oneof(
      fc.constantFrom(
        "capacity: 1",
        "queue: (backlog) [",
        "registered:",
        "disconnected:",
        "clients:",
      ),
      fc.constantFrom("  w (1): [a:b@1s(2)] (1 running)", "   c:d@2m+urgent]", "  x (paused)"),
      fc.string({ maxLength: 40 }),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 30 }), (lines) => {
        try {
          expect(parsePoolText(lines.join("\n")).totals).toBeNull();
        } catch (error) {
          expect(error).toBeInstanceOf(PoolTextError);
        }
      }),
    );
  });

  test("much of it does not take long, whatever it is made of", { timeout: 20_000 }, () => {
    const looksLikeTheEnd = " (1): [".repeat(100_000);
    expect(parsePoolText(around(`  w${looksLikeTheEnd}\n`)).workers).toEqual([]);
    const jobs = "a:b@1s(2)@".repeat(100_000);
    expect(parsePoolText(around(`  w (1): [${jobs}] (0 running)\n`)).workers).toHaveLength(1);
    const words = "a(".repeat(100_000);
    expect(parsePoolText(`${around("")}${words}`).clients).toEqual([]);
  });
});
