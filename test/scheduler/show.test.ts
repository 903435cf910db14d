/** The text of `show`: numbers, lines that are too long, and a million jobs. */

import { describe, expect, test } from "vitest";
import { INACTIVE } from "../../src/scheduler/pool/inactive-reasons.js";
import { roughDuration, wholeNumber } from "../../src/scheduler/pool/printf-numbers.js";
import { runPoolTrace } from "../conformance/pool-trace.js";
import { connect, job, popNow, testPool } from "./support.js";

test("the example of the documentation", () => {
  const { pool } = testPool({ costs: { cached: 60, nonCached: 60 } });
  const alice = pool.client("alice");
  alice.setRate(2);
  const bob = pool.client("bob");
  const worker = connect(pool, "my-worker", 3);
  for (let i = 0; i < 10; i++) bob.submit(job(`job${i}`));
  for (let i = 0; i < 3; i++) expect(popNow(worker)).toBe(`job${i}`);
  alice.submit(job("job0"));
  alice.submit(job("job1"));
  expect(pool.show()).toBe(
    [
      "capacity: 3",
      "queue: (backlog) [bob:job9@9m bob:job8@8m bob:job7@7m bob:job6@6m bob:job5@5m",
      "                  bob:job4@4m bob:job3@3m alice:job1@30s alice:job0@0s]",
      "registered:",
      "  my-worker (0): [] (3 running)",
      "disconnected:",
      "clients: alice(2)+60s bob(1)+10m",
      "",
    ].join("\n"),
  );
  expect([popNow(worker), popNow(worker), popNow(worker)]).toEqual(["job0", "job1", "job3"]);
});

describe("numbers", () => {
  test.each([
    [0, "0"],
    [-0, "-0"],
    [0.5, "0"],
    [1.5, "2"],
    [2.5, "2"],
    [3.5, "4"],
    [-0.25, "-0"],
    [-0.5, "-0"],
    [-1.5, "-2"],
    [0.49999999999999994, "0"],
    [2 ** 52 - 0.5, "4503599627370496"],
    [1e21, "1000000000000000000000"],
    [1.7e308, String(BigInt(1.7e308))],
    [Number.POSITIVE_INFINITY, "inf"],
    [Number.NEGATIVE_INFINITY, "-inf"],
    [Number.NaN, "nan"],
  ])("%d is %s", (x, text) => expect(wholeNumber(x)).toBe(text));

  test.each([
    [-1e6, "-1000000s"],
    [119.99, "120s"],
    [120, "2m"],
    [150, "2m"],
    [210, "4m"],
  ])("%d seconds are %s", (seconds, text) => expect(roughDuration(seconds)).toBe(text));
});

/** Workers that hold the hint, in a trace. */
const holds = (hint: string, ...workers: string[]) =>
  workers.flatMap((worker) => [
    `register ${worker} 1`,
    `set-active ${worker} true worker`,
    `submit ann j hint=${hint}`,
    `pop ${worker}`,
    `release ${worker}`,
    "settle",
  ]);

const cachedPart = (setup: string[], expected: string[]) => {
  const report = runPoolTrace(["pool p", "client ann", ...setup, "dump"].join("\n"));
  // Everything that was printed differs from nothing.
  const printed = report.filter((line) => line.startsWith("  + ")).map((line) => line.slice(4));
  expect(printed.slice(printed.findIndex((line) => line.startsWith("cached:")))).toEqual(expected);
};

describe("the record of hints in lines that are too long", () => {
  const name = (letter: string, length: number) => letter.repeat(length);

  test("a hint that ends at column 77 with its comma stays, one more and it goes", () => {
    // "cached: a: [w]," takes 15 columns, a space one more.
    const setup = (length: number) => [
      ...holds("a", "w"),
      ...holds("b", name("x", length)),
      ...holds("c", "w"),
    ];
    cachedPart(setup(55), [`cached: a: [w], b: [${name("x", 55)}],`, "        c: [w]"]);
    cachedPart(setup(56).slice(0, -6), [`cached: a: [w], b: [${name("x", 56)}]`]);
    cachedPart(setup(57).slice(0, -6), ["cached: a: [w],", `        b: [${name("x", 57)}]`]);
  });

  test("holders that do not fit in a line are filled, and the next hint starts a new line", () => {
    const [p, q, r, t] = [name("p", 30), name("q", 29), name("r", 30), name("t", 30)];
    cachedPart(
      [...holds("hint", p, q, r, t), ...holds("z", "w")],
      [
        // The first line is just 77 columns long; the last two would share one of 78.
        `cached: hint: [${p}; ${q};`,
        `               ${r};`,
        `               ${t}],`,
        "        z: [w]",
      ],
    );
  });

  test("no list and no name in a long one begins beyond column 68, unless all is on one line", () => {
    const [long, short] = [name("x", 57), name("x", 44)];
    cachedPart(
      [...holds("a", "w"), ...holds(short, "w", "z")],
      [`cached: a: [w], ${short}: [w; z]`],
    );
    cachedPart(
      [...holds("a", "w"), ...holds(long, "w"), ...holds("y", "w")],
      ["cached: a: [w],", `        ${long}: [w],`, "        y: [w]"],
    );
    cachedPart(
      [...holds("a", "w"), ...holds("b", name("x", 56)), ...holds("c", "w")],
      ["cached: a: [w],", `        b: [${name("x", 56)}], c:`, "        [w]"],
    );
    cachedPart(
      [...holds("b", "v", name("x", 54), "y", "zzzz")],
      [`cached: b: [v; ${name("x", 54)};`, "            y; zzzz]"],
    );
  });

  test("a single holder is never moved, however long", () => {
    cachedPart(
      [...holds("a", "w"), ...holds("b", name("x", 90)), ...holds("c", "w")],
      ["cached: a: [w],", `        b: [${name("x", 90)}],`, "        c: [w]"],
    );
  });
});

test.each([
  ["é", 30],
  ["日", 20],
  ["\u{1f600}", 15],
])("columns are bytes: of %s, %d fit behind a client", (character, count) => {
  const line = (length: number) => {
    const { pool } = testPool();
    for (const id of ["a", character.repeat(length)]) pool.client(id);
    return pool.show().split("\n").at(-2);
  };
  expect(line(count)).toBe(`clients: a(1) ${character.repeat(count)}(1)`);
  expect(line(count + 1)).toBe(`         ${character.repeat(count + 1)}(1)`);
});

test("control characters are shown as what they are", () => {
  const { pool } = testPool();
  pool.client("\u001b[2J\n");
  expect(pool.show()).toContain("clients: \\x1b[2J\\x0a(1)\n");
  pool.client("\u202egreat\u2069");
  expect(pool.show()).toContain("\\u{202e}great\\u{2069}(1)");
});

describe("what would begin beyond column 68", () => {
  const dump = (name: string, ...setup: string[]) => {
    const trace = ["pool p", "client ann", `register ${name} 1`, ...setup, "dump"];
    return runPoolTrace(trace.join("\n"))
      .filter((line) => line.startsWith("  + "))
      .map((line) => line.slice(4));
  };
  const name = (length: number) => "n".repeat(length);
  const active = (length: number) => [`set-active ${name(length)} true worker`];
  /** Puts two jobs in the worker's own queue. */
  const queued = (length: number) => [
    ...active(length),
    "submit ann j hint=h",
    `pop ${name(length)}`,
    "submit ann job1 hint=h",
    "submit ann job2 hint=h",
    "register other 1",
    "set-active other true worker",
    "pop other",
  ];

  test("has a new line, be it a worker's state or its jobs", () => {
    expect(dump(name(60))).toContain(`  ${name(60)} (0): (inactive: worker pause) (0 running)`);
    expect(dump(name(61))).toContain(`  ${name(61)} (0):`);
    expect(dump(name(61))).toContain("  (inactive: worker pause) (0 running)");
    expect(dump(name(60), ...active(60))).toContain(`  ${name(60)} (0): [] (0 running)`);
    expect(dump(name(59), ...queued(59)).slice(3, 5)).toEqual([
      `  ${name(59)} (4): [ann:job2@12s(2)`,
      `${" ".repeat(68)}ann:job1@10s(2)] (1 running)`,
    ]);
    expect(dump(name(60), ...queued(60)).slice(3, 6)).toEqual([
      `  ${name(60)} (4): [`,
      `${" ".repeat(68)}ann:job2@12s(2)`,
      `${" ".repeat(68)}ann:job1@10s(2)] (1 running)`,
    ]);
    expect(dump(name(61), ...queued(61)).slice(3, 5)).toEqual([
      `  ${name(61)} (4):`,
      "  [ann:job2@12s(2) ann:job1@10s(2)] (1 running)",
    ]);
  });
});

describe("in steps", () => {
  test("it shows the moment when it began, whatever happens meanwhile", () => {
    const { pool, time } = testPool();
    const [ann, ben] = [pool.client("ann"), pool.client("ben")];
    const worker = connect(pool, "w");
    ann.submit(job("first", "docs"));
    popNow(worker);
    const tickets = Array.from({ length: 5000 }, (_, i) => ann.submit(job(`job${i}`)));
    // Some that the worker prefers, so that its own queue is not empty.
    for (let i = 0; i < 3; i++) ben.submit(job(`docs${i}`, "docs"), { urgent: true });
    const other = connect(pool, "x");
    popNow(other);
    expect(worker.queue.size).toBe(3);
    const before = pool.show();

    const steps = pool.showInSteps();
    const pieces = [steps.next().value];
    worker.release();
    for (const ticket of tickets.slice(1000, 3000)) ticket.cancel();
    for (let i = 0; i < 1000; i++) popNow(other);
    pool.removeClient("ann");
    time.now += 100;
    pieces.push(...steps);

    expect(pieces.join("")).toBe(before);
    expect(pool.show()).not.toBe(before);
  });

  test("no step makes much text, nor sorts much", () => {
    const { pool } = testPool({ costs: { cached: 0, nonCached: 10 } });
    const worker = connect(pool, "w");
    const client = pool.client("ann");
    client.submit(job("first", "docs"));
    popNow(worker);
    // 20,000 that come back from the worker's own queue in between the others.
    for (let i = 0; i < 20_000; i++) client.submit(job(`job${i}`, "docs"));
    popNow(connect(pool, "x"));
    for (let i = 0; i < 20_000; i++) client.submit(job(`more${i}`));
    worker.setActive(false, INACTIVE.adminPause);
    const pieces = [...pool.showInSteps()];
    expect(pieces.join("")).toBe(pool.show());
    expect(pieces.length).toBeGreaterThan(40_000 / 1000);
    expect(Math.max(...pieces.map((piece) => piece?.length ?? 0))).toBeLessThan(17_000);
  });
});
