import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Backoff } from "../../src/async/backoff.js";
import { SexpError } from "../../src/obuilder/index.js";
import { Capacity, weigh } from "../../src/worker/capacity.js";
import { BuildKitProgress } from "../../src/worker/docker/buildkit-progress.js";
import { DockerIgnore } from "../../src/worker/docker/dockerignore.js";
import { encodeMessage, Message } from "../../src/worker/docker/protobuf.js";
import { exceptionText, heading, note } from "../../src/worker/log/notes.js";

describe("connecting again", () => {
  /** The times of the attempts, when each fails after `takes` ms. */
  function attempts(count: number, takes: number, random: number): number[] {
    let now = 0;
    const backoff = new Backoff(
      () => now,
      () => random,
    );
    return Array.from({ length: count }, () => {
      const at = now;
      backoff.attempt();
      now += takes;
      now += backoff.failed();
      return at;
    });
  }

  it("is tried at most every ten seconds, then less and less often", () => {
    expect(attempts(6, 3, 0)).toEqual([0, 10_000, 25_000, 47_500, 77_500, 107_500]);
  });

  it("is tried sooner by those who have somebody waiting", () => {
    const range = { minMs: 1000, maxMs: 2000 };
    const backoff = new Backoff(
      () => 0,
      () => 0,
      range,
    );
    backoff.attempt();
    expect([backoff.failed(), backoff.failed(), backoff.failed()]).toEqual([1000, 1500, 2000]);
  });

  it("is spread by chance", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (random) => {
        const times = attempts(5, 0, random);
        for (const [index, time] of times.slice(1).entries()) {
          const pause = time - times[index]!;
          expect(pause).toBeGreaterThanOrEqual(10_000);
          expect(pause).toBeLessThanOrEqual(33_000);
        }
      }),
    );
  });

  it("is tried at once after a connection that held", () => {
    let now = 0;
    const backoff = new Backoff(
      () => now,
      () => 0,
    );
    backoff.attempt();
    backoff.failed();
    backoff.attempt();
    backoff.succeeded();
    now = 3_600_000;
    expect(backoff.failed()).toBe(0);
  });
});

describe("capacity", () => {
  it("goes by the last rule that matches", () => {
    const rules = [
      { pattern: /tezos/, weight: 2 },
      { pattern: /^big-/, weight: 5 },
    ];
    const hints = ["", "x-tezos-y", "big-one", "big-tezos"];
    expect(hints.map((hint) => weigh(rules, hint))).toEqual([1, 2, 5, 5]);
  });

  it("wakes those who wait, once there is some", async () => {
    const capacity = new Capacity(2);
    capacity.take(3);
    const stop = new AbortController();
    const events: string[] = [];
    const free = capacity.whenFree(stop.signal).then(() => events.push("free"));
    const idle = capacity.whenIdle().then(() => events.push("idle"));
    const stopped = capacity.whenIdle(stop.signal).catch((error) => events.push(error.message));
    stop.signal.addEventListener("abort", () => events.push("stop"));
    capacity.giveBack(1);
    await nextTurn();
    expect(events).toEqual([]);
    capacity.giveBack(1);
    await free;
    stop.abort(new Error("stopped"));
    await stopped;
    capacity.giveBack(1);
    await idle;
    expect(events).toEqual(["free", "stop", "stopped", "idle"]);
  });
});

describe("notes in a log", () => {
  it("are in the reference's colours", () => {
    expect(heading("(from busybox)")).toBe("\n\u001b[01;34m(from busybox)\u001b[0m");
    expect(note('---> saved as "x"', new Date(Date.UTC(2026, 10, 21, 9, 53, 25)))).toBe(
      '\u001b[01;2m\u001b[01;35m2026-11-21 09:53.25 ---> saved as "x"\u001b[0m',
    );
  });

  it("print exceptions as OCaml does", () => {
    expect(exceptionText(new SexpError("Failure", "Invalid spec: hush"))).toBe(
      'Failure("Invalid spec: hush")',
    );
    expect(exceptionText(new Error('a "quoted"\nthing'))).toBe('Failure("a \\"quoted\\"\\nthing")');
  });
});

describe(".dockerignore", () => {
  it.each<[string, string[], string[]]>([
    ["*.md", ["a.md"], ["dir/a.md", "a.mdx"]],
    ["**/*.md", ["a.md", "x/y/a.md"], ["a.txt"]],
    ["dir", ["dir", "dir/a", "dir/x/y"], ["dirt", "x/dir"]],
    ["/dir/", ["dir", "dir/a"], ["x/dir"]],
    ["./a/../b", ["b"], ["a"]],
    ["a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb"]],
    ["**", ["anything", "at/all"], []],
    ["a**b", ["ab", "a/x/b"], ["ac", "axb"]],
    ["**b", ["b", "ab", "x/ab/y"], ["ba"]],
    ["**b*", ["b", "x/bc"], ["ab"]],
    ["x**", ["x", "xy/z"], ["y/x"]],
    ["../a\n../*\n..\nb/../../c", [], ["a", "b", "c"]],
    ["*\n!keep\n!d/keep", ["x", "d/x"], ["keep", "d/keep"]],
    ["docs\n!docs/api\ndocs/api/*.tmp", ["docs/x", "docs/api/a.tmp"], ["docs/api/a"]],
    ["# a comment\n\n  spaced  ", ["spaced"], ["# a comment"]],
    ["a?c", ["abc"], ["ac", "a/c"]],
    ["[a-c]x[^0-9]", ["axz", "cx-"], ["dxz", "ax5"]],
    ["\\*", ["*"], ["a"]],
    ["[", ["["], []],
    ["", [], ["a"]],
  ])("%j", (text, ignored, kept) => {
    const rules = new DockerIgnore(text);
    expect(ignored.filter((path) => !rules.ignores(path))).toEqual([]);
    expect(kept.filter((path) => rules.ignores(path))).toEqual([]);
  });

  it("takes no more time for a malicious pattern", () => {
    const rules = new DockerIgnore(`${"**/a*".repeat(50)}x\n${"*a".repeat(200)}b`);
    const path = `${"a/".repeat(200)}${"a".repeat(1000)}`;
    const before = performance.now();
    expect(rules.ignores(path)).toBe(false);
    // An engine that backtracks would take longer than the universe.
    expect(performance.now() - before).toBeLessThan(20_000);
  });
});

it("refuses patterns of .dockerignore that would keep all others waiting", () => {
  const rules = new DockerIgnore(`${"**/".repeat(20_000)}x`);
  expect(() => rules.ignores("a/".repeat(2000))).toThrow("too complex");
});

describe("BuildKit's progress", () => {
  const bytes = (number: number, value: string | Uint8Array) => encodeMessage({ [number]: value });
  /** A varint field. */
  const number = (field: number, value: number) => {
    const digits = [];
    for (; value > 127; value = Math.floor(value / 128)) digits.push((value % 128) | 128);
    return Buffer.from([field << 3, ...digits, value]);
  };
  const time = (field: number, seconds: number) =>
    bytes(
      field,
      Buffer.concat([number(1, Math.floor(seconds)), number(2, Math.round((seconds % 1) * 1e9))]),
    );
  const vertex = (digest: string, ...fields: Buffer[]) =>
    bytes(1, Buffer.concat([bytes(1, digest), bytes(3, `step ${digest}`), ...fields]));
  const output = (digest: string, at: number, text: string) =>
    bytes(3, Buffer.concat([bytes(1, digest), time(2, at), bytes(4, text)]));

  it("reads like that of docker build", () => {
    const progress = new BuildKitProgress();
    const send = (...parts: Buffer[]) => progress.text(Buffer.concat(parts));
    const start = 1_800_000_000.5;
    expect(send(vertex("a", time(5, start)), vertex("b"))).toBe("\n#1 step a\n");
    expect(send(output("a", start + 1.25, "one\ntw"))).toBe("#1 1.250 one\n");
    expect(send(vertex("b", time(5, start)), output("a", start + 2, "o\n"))).toBe(
      "\n#2 step b\n\n#1 step a\n#1 2.000 two\n",
    );
    expect(send(vertex("b", time(5, start), time(6, start + 3), number(4, 1)))).toBe(
      "\n#2 step b\n#2 CACHED\n",
    );
    const end = vertex("a", time(5, start), time(6, start + 4), bytes(7, "exit code: 1"));
    expect(send(output("a", start + 3, "no end"), end)).toBe(
      "\n#1 step a\n#1 no end\n#1 ERROR: exit code: 1\n",
    );
    expect(send(end)).toBe("");
  });

  it("does not choke on bytes that are none", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (junk) => {
        try {
          expect(typeof new BuildKitProgress().text(junk)).toBe("string");
        } catch (error) {
          expect(String(error)).toMatch(/protobuf/i);
        }
      }),
    );
  });

  it("encodes what it decodes", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme" }),
        fc.uint8Array({ maxLength: 300 }),
        (text, data) => {
          const message = new Message(encodeMessage({ 1: text, 7: data }));
          expect([message.text(1), [...message.bytes(7)], message.text(2)]).toEqual([
            Buffer.from(text).toString(),
            [...data],
            "",
          ]);
        },
      ),
    );
  });
});
