/**
 * Specs of very many operations, which anybody can send: others are answered meanwhile, who cancels
 * is heard, and neither work nor log grows faster than the spec.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Slices } from "../../src/async/slices.js";
import { copyManifests } from "../../src/obuilder/build/copy-manifest.js";
import { OpHeadings, opHeading } from "../../src/obuilder/build/headings.js";
import { makingCopyKey, makingRunKey } from "../../src/obuilder/build/layer-ids.js";
import { Variables } from "../../src/obuilder/build/variables.js";
import { BuildCancelled, BuildError, type Builder } from "../../src/obuilder/index.js";
import { type Env, type KeyValue, ROOT } from "../../src/obuilder/spec/spec.js";
import { readingSpec } from "../../src/obuilder/spec/spec-reader.js";
import { TextLog, Workshop } from "../support/builder.js";

let workshop: Workshop;
let builder: Builder;

beforeAll(async () => {
  workshop = new Workshop();
  builder = await workshop.open();
});

afterAll(async () => {
  await builder.close();
  workshop.remove();
});

const repeated = (count: number, op: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => op(i)).join("");

/** Characters of all headings. */
const size = ({ lines }: TextLog) => lines.reduce((sum, line) => sum + line.length, 0);

describe("operations that make no layer", () => {
  it("let others run", async () => {
    let turns = 0;
    let done = false;
    const others = (async () => {
      for (; !done; turns++) await turn();
    })();
    /** How often others had had their turn at each heading. */
    const seen = new Set<number>();
    const log = { heading: () => void seen.add(turns), note() {}, output() {} };
    await workshop.build(
      builder,
      repeated(100_000, (i) => `(env V${i} b)`),
      { log },
    );
    done = true;
    await others;
    expect(seen.size).toBeGreaterThan(5); // The base image alone takes two or three.
  });

  it("hear that they are not wanted any more", async () => {
    const log = new TextLog();
    const cancel = new AbortController();
    const ops = repeated(50_000, () => "(shell)");
    const build = workshop.build(builder, ops, { log, signal: cancel.signal });
    while (log.lines.length < 1000) await turn();
    cancel.abort();
    await expect(build).rejects.toThrow(BuildCancelled);
    expect(log.lines.length).toBeLessThan(50_000);
  });

  it("wait for a log that is slow, until they are cancelled", async () => {
    const seen: string[] = [];
    const cancel = new AbortController();
    const log = {
      heading(text: string) {
        seen.push(text);
        return text.includes("stop here") ? new Promise<void>(() => cancel.abort()) : undefined;
      },
      note() {},
      output() {},
    };
    const ops = "(comment 'stop here')(comment 'too far')".replaceAll("'", '"');
    await expect(workshop.build(builder, ops, { log, signal: cancel.signal })).rejects.toThrow(
      BuildCancelled,
    );
    expect(seen.at(-1)).toContain("stop here");
  });
});

describe("caches of a step", () => {
  const caches = (count: number) =>
    `(run (cache ${repeated(count, (i) => `(c${i} (target /c/${i}))`)}) (shell true))`;

  it("are not made any more when it is cancelled", async () => {
    const own = await workshop.open({ store: `overlayfs:${workshop.path("cancelled")}` });
    const cancel = new AbortController();
    const made = () => readdirSync(workshop.path("cancelled/cache")).length;
    const build = workshop.build(own, caches(300), { signal: cancel.signal });
    const ended = expect(build).rejects.toThrow(BuildCancelled);
    while (made() === 0) await turn();
    cancel.abort();
    await ended;
    await own.close(); // The step goes on in the background until then.
    expect(made()).toBeLessThan(300);
  });

  it("are refused if there are far too many", async () => {
    await expect(workshop.build(builder, caches(1001))).rejects.toThrow(
      new BuildError("A step has more than 1000 caches and secrets; use fewer"),
    );
  });
});

describe("what is large is gone through in slices:", () => {
  /** How often it can be interrupted. */
  function places(work: Iterator<void, unknown>): number {
    let count = 0;
    while (!work.next().done) count++;
    return count;
  }

  it("a spec that is read", () => {
    const spec = (count: number) =>
      `((from a)${repeated(count, (i) => `(env V${i} b)`)}(run (shell true)))`;
    expect(places(readingSpec(spec(10)))).toBe(0);
    expect(places(readingSpec(spec(20_000)))).toBeGreaterThan(100);
    const nested = `(${repeated(20_000, (i) => `(build n${i} ((from a)))`)}(from a))`;
    expect(places(readingSpec(nested))).toBeGreaterThan(100);
  });

  it("the ids of layers", () => {
    const entries = Array.from({ length: 20_000 }, (_, i) => ({
      type: "symlink" as const,
      path: `f${i}`,
      target: "x",
    }));
    const manifests = [{ type: "dir" as const, path: "", entries }];
    const copy = { base: "b", user: ROOT, manifests, dst: "/" };
    expect(places(makingCopyKey(copy))).toBeGreaterThan(50);
    const env = entries.map(({ path }) => [path, "x"] as const);
    const run = { base: "b", workdir: "/", user: ROOT, env, cmd: "x", shell: [], network: [] };
    expect(places(makingRunKey({ ...run, secrets: [] }))).toBeGreaterThan(10);
  });

  it("until it is not wanted any more", async () => {
    const cancel = new AbortController();
    const forever = (function* () {
      for (;;) yield;
    })();
    const work = new Slices(cancel.signal).run(forever);
    await turn();
    cancel.abort(new Error("cancelled"));
    await expect(work).rejects.toThrow("cancelled");
  });
});

describe("work directories", () => {
  it("end where the system's paths do", async () => {
    const log = new TextLog();
    const ops = repeated(10_000, () => "(workdir abcdefghij)");
    await expect(workshop.build(builder, ops, { log })).rejects.toThrow(
      new BuildError(
        "The work directory would have a path of 4103 bytes, and the system takes 4095; write (workdir /…) to begin at the root",
      ),
    );
    expect(size(log)).toBeLessThan(2_000_000);
  });

  it("are in each heading, but not thousands of times in full if they are long", async () => {
    const log = new TextLog();
    const path = `/${"d".repeat(4000)}/end`;
    await workshop.build(builder, `(workdir ${path})${repeated(20_000, () => "(shell)")}`, { log });
    expect(log.lines.some((line) => line.startsWith(`${path}: `))).toBe(true);
    expect(log.lines.at(-1)).toMatch(/^…d+\/end:\s+\(shell\)$/);
    expect(size(log)).toBeLessThan(20_000 * 200 + 2_000_000);
  });

  it("that are short are always there", () => {
    const headings = new OpHeadings();
    const workdir = `/${"d".repeat(99)}`;
    for (let i = 0; i < 20_000; i++) {
      const text = headings.of(workdir, { op: "shell", words: [] });
      expect(text.startsWith(workdir)).toBe(true);
    }
  });
});

describe("one operation that is huge", () => {
  it.each([
    ["of lines, each of which would be indented", "\n".repeat(900_000)],
    ["of letters", "x".repeat(10_000_000)],
  ])("shows its beginning: %s", (_what, text) => {
    const heading = opHeading("/", { op: "comment", text: `begin ${text} end` });
    expect(heading).toContain("begin");
    expect(heading).toContain(`\\226\\128\\166"`); // an ellipsis, as headings quote it
    expect(heading.length).toBeLessThan(1_000_000);
  });

  it("shows the first of its words", () => {
    const words = Array.from({ length: 500_000 }, (_, i) => `w${i}`);
    const heading = opHeading("/", { op: "shell", words });
    expect(heading).toMatch(/^\/: \(shell w0 w1 /);
    expect(heading.length).toBeLessThan(1_000_000);
  });

  it("is shown in full when somebody could have written it", () => {
    const command = Array.from({ length: 1000 }, (_, i) => `make part-${i} && \\`).join("\n");
    const op = { op: "run", cache: [], network: [], secrets: [], shell: command } as const;
    expect(opHeading("/", op)).toContain("make part-999");
  });
});

it("very many sources and exclusions of a copy let others run, and hear their signal", async () => {
  const root = join(workshop.path("many"));
  mkdirSync(root);
  writeFileSync(join(root, "f"), "x");
  const names = Array.from({ length: 200_000 }, (_, i) => `x${i}`);
  const cancel = new AbortController();
  const copying = copyManifests(
    { root, src: names.map(() => "f"), exclude: names, dst: "/d/" },
    cancel.signal,
  );
  // It would be done by now if it had not let us run.
  await turn();
  cancel.abort(new Error("cancelled"));
  await expect(copying).rejects.toThrow("cancelled");
});

describe("variables", () => {
  const variable = fc.tuple(fc.constantFrom("A", "B", "C", "D"), fc.string({ maxLength: 2 }));

  /** What the reference does, as it does it. */
  function setSlowly(env: Env, [key, value]: KeyValue): Env {
    const index = env.findIndex(([name]) => name === key);
    return [[key, value], ...(index < 0 ? env : env.toSpliced(index, 1))];
  }

  it("are those of a list that is copied each time, whenever it is looked at", () => {
    const steps = fc.array(fc.record({ set: variable, look: fc.boolean() }), { maxLength: 30 });
    fc.assert(
      fc.property(fc.array(variable, { maxLength: 8 }), steps, (image, all) => {
        let quick = new Variables(image);
        let slow: Env = image;
        for (const { set, look } of all) {
          const before = quick;
          const expected = slow;
          quick = quick.with(...set);
          slow = setSlowly(slow, set);
          if (look) expect(quick.list).toEqual(slow);
          expect(before.list).toEqual(expected);
        }
        expect(quick.list).toEqual(slow);
      }),
    );
  });
});
