/*
 * The walk over a spec: in which order a visitor is told of what, and what it is told of the place.
 */

import { expect, it } from "vitest";
import { type SpecVisitor, walkSpec } from "../../src/obuilder/build/walk.js";
import type { Spec } from "../../src/obuilder/spec/spec.js";
import { readSpec } from "../../src/obuilder/spec/spec-reader.js";

/** Layers are the words that led to them. */
function teller(): { told: string[]; visitor: SpecVisitor<string> } {
  const told: string[] = [];
  const tell = async (text: string) => void told.push(text);
  const visitor: SpecVisitor<string> = {
    shell: ["sh"],
    begin: (build) => tell(`begin ${build}`),
    end: (build) => tell(`end ${build}`),
    from: async (image) => {
      await tell(`from ${image}`);
      return { layer: image, env: [["IMAGE", image]] };
    },
    run: async ({ shell }, { base, context: { env, workdir } }) => {
      await tell(`run ${shell} on ${base} in ${workdir} with ${env.list.join(" ")}`);
      return `${base}+${shell}`;
    },
    copy: async ({ from }, { base, result }) => {
      const source = from.from === "build" ? result(from.name) : "context";
      await tell(`copy ${source} to ${base}`);
      return `${base}+copy`;
    },
    setting: tell,
  };
  return { told, visitor };
}

it("goes through nested builds first, and nothing but their results comes out of them", async () => {
  const { told, visitor } = teller();
  const spec = readSpec(`(
    (build a ((from one) (workdir /w) (env K v) (run (shell make))))
    (build b (
      (build a ((from two)))
      (from three)
      (copy (from (build a)) (src .) (dst /))))
    (from four)
    (run (shell try))
    (copy (from (build a)) (src .) (dst /))
    (copy (from (build b)) (src .) (dst /))
    (copy (src .) (dst /)))`);
  expect(await walkSpec(spec, visitor)).toBe("four+try+copy+copy+copy");
  expect(told).toEqual([
    "begin a",
    "from one",
    "/: (workdir /w)",
    "/w: (env K v)",
    "run make on one in /w with K,v IMAGE,one",
    "end a",
    "begin b",
    "begin a",
    "from two",
    "end a",
    "from three",
    "copy two to three",
    "end b",
    "from four",
    "run try on four in / with IMAGE,four",
    "copy one+make to four+try",
    "copy three+copy to four+try+copy",
    "copy context to four+try+copy+copy",
  ]);
});

it("knows no builds but those in scope, and stops at what a visitor refuses", async () => {
  const copy = { op: "copy", src: ["."], dst: "/", exclude: [] } as const;
  const spec: Spec = {
    children: [],
    from: "one",
    ops: [{ ...copy, from: { from: "build", name: "x\n" } }],
  };
  const { told, visitor } = teller();
  await expect(walkSpec(spec, visitor)).rejects.toThrow('Unknown build "x\\n"');
  expect(told).toEqual(["from one"]);
  const from = async () => Promise.reject(new Error("no such image"));
  await expect(walkSpec(spec, { ...visitor, from })).rejects.toThrow("no such image");
});
