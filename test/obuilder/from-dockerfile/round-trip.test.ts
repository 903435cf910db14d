/**
 * Specs that become Dockerfiles, and specs again.
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import { UNKNOWN_CONTEXT } from "../../../src/obuilder/dockerfile/build-context.js";
import { specFromDockerfile } from "../../../src/obuilder/dockerfile/convert.js";
import { dockerfileOf } from "../../../src/obuilder/dockerfile/from-spec.js";
import type { Op, Spec } from "../../../src/obuilder/spec/spec.js";
import { readSpec } from "../../../src/obuilder/spec/spec-reader.js";

test("a spec that went through a Dockerfile comes back", () => {
  const spec = readSpec(`
    ((build dev ((from a) (workdir /w) (shell /bin/sh -c) (run (network host) (shell make))))
     (from b) (env K "a \\"q\\" $x \\\\ z") (user (uid 1) (gid 2))
     (copy (from (build dev)) (src f) (dst /g)) (copy (src x) (dst /z))
     (shell /bin/sh -c)
     (run (cache (c (target /c))) (network host) (secrets (s (target /s))) (shell "echo $K")))`);
  const text = dockerfileOf(spec, { buildkit: true, escape: "unix" });
  expect(specFromDockerfile(text).spec).toEqual(spec);
});

test("any spec that a Dockerfile can say comes back from one", () => {
  const oddUnit = fc.constantFrom(..."ab1/.,:=-+_ \t'\"`\\$\\{}()[]<>*?&|;#!@~%^é\u00a0😀");
  const word = fc.stringMatching(/^[a-z0-9]{1,3}(\/?[a-z0-9_-][a-z0-9._-]{0,3}){0,3}$/);
  const path = word.map((text) => `/${text}`);
  const value = fc.string({ unit: oddUnit, maxLength: 12 });
  const oddPath = fc
    .string({ unit: oddUnit, minLength: 1, maxLength: 6 })
    .map((text) => `x${text}x`);
  const mount = fc.record({
    id: fc.oneof(
      word,
      oddPath.filter((text) => !text.includes("$")),
    ),
    target: path,
    buildkitOptions: fc.constant([]),
  });
  const user = fc.record({
    uid: fc.bigInt({ min: 0n, max: 9_999_999_999n }),
    gid: fc.bigInt({ min: 0n, max: 9_999_999_999n }),
  });
  const command = fc.string({ unit: fc.oneof(oddUnit, fc.constant("\n")), maxLength: 20 });
  const source = fc.oneof(
    word,
    oddPath.filter((text) => !/[*?[]|\/\/|(?:^|\/)\.{1,2}(?:\/|$)/.test(text)),
  );
  const op: fc.Arbitrary<Op> = fc.oneof(
    fc.record({
      op: fc.constant("env" as const),
      key: fc.oneof(
        fc.stringMatching(/^[A-Z_]{1,5}$/),
        oddPath.filter((key) => !key.includes("=")),
      ),
      value,
    }),
    fc.record({
      op: fc.constant("run" as const),
      cache: fc.array(mount, { maxLength: 2 }),
      network: fc.constant(["host"]),
      secrets: fc.array(mount, { maxLength: 2 }),
      // A command that goes on behind a line break becomes one line.
      shell: command.filter(
        (text) => text !== "" && text.trim() === text && !/[&|]\s*\n/.test(text),
      ),
    }),
    // What is known to be a file, in the context; what may be anything, in a build.
    fc.record({
      op: fc.constant("copy" as const),
      from: fc.constant({ from: "context" as const }),
      src: fc.array(source, { minLength: 1, maxLength: 3 }),
      dst: fc.oneof(path, oddPath).map((text) => `${text}/`),
      exclude: fc.constant([]),
    }),
    fc.record({
      op: fc.constant("copy" as const),
      from: fc.constantFrom("zero", "one").map((name) => ({ from: "build", name }) as const),
      src: fc.array(source, { minLength: 1, maxLength: 1 }),
      dst: fc.oneof(path, oddPath),
      exclude: fc.constant([]),
    }),
  );
  const shell: Op = { op: "shell", words: ["/bin/sh", "-c"] };
  const body = (ops: fc.Arbitrary<Op>) =>
    fc
      .tuple(word, user, fc.array(ops, { maxLength: 6 }))
      .filter(([, { uid, gid }]) => uid !== 0n || gid !== 0n)
      .map(([from, user, ops]) => ({ from, ops: [{ op: "user", user } as const, shell, ...ops] }));
  const context = { ...UNKNOWN_CONTEXT, kindOf: () => "file" as const };
  const isInner = (candidate: Op) => candidate.op !== "copy" || candidate.from.from === "context";
  fc.assert(
    fc.property(body(op.filter(isInner)), body(op), ({ from, ops }, rest) => {
      const names = rest.ops.flatMap((each) =>
        each.op === "copy" && each.from.from === "build" ? [each.from.name] : [],
      );
      // A Dockerfile has one name space for images and stages.
      fc.pre(!names.includes(from) && !names.includes(rest.from));
      const children = [...new Set(names)].map((name) => ({
        name,
        spec: { children: [], from, ops },
      }));
      const spec: Spec = { children, ...rest };
      const text = dockerfileOf(spec, { buildkit: true, escape: "unix" });
      const found = specFromDockerfile(text, { context }).spec;
      expect(found.children.map(({ spec }) => spec)).toEqual(children.map(({ spec }) => spec));
      expect({ ...found, children: [] }).toEqual({ ...spec, children: [] });
    }),
    { numRuns: 300 },
  );
});
