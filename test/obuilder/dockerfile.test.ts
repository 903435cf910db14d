import { describe, expect, test } from "vitest";
import { dockerfileOf, UnwritableSpec } from "../../src/obuilder/dockerfile/from-spec.js";
import { readSpec } from "../../src/obuilder/spec/spec-reader.js";
import { goldenDir } from "../support/golden.js";
import { bytesOf, type DockerfileCase, textOf } from "../support/obuilder-cases.js";

const UNIX = { buildkit: false, escape: "unix" } as const;

describe("golden data", () => {
  const cases = goldenDir<DockerfileCase & { name: string }>("obuilder/dockerfile");

  test.each(cases.map((data, i) => ({ i, ...data })))("case $i", ({ spec, output, ...style }) => {
    expect(dockerfileOf(readSpec(bytesOf(spec)), style)).toBe(textOf(output));
  });
});

test("a command on several lines is trimmed and continued", () => {
  const spec = readSpec('((from a) (run (shell "x &&\n   y\t\r\n\n z\xa0")))');
  expect(dockerfileOf(spec, UNIX)).toBe("FROM a\nRUN x && \\\n    y \\\n     \\\n    z\xa0\n");
});

test("a Windows user's mounts cannot be written for BuildKit", () => {
  const spec = readSpec("((from a) (user (name App)) (run (cache (c (target /c))) (shell x)))");
  expect(dockerfileOf(spec, UNIX)).toBe("FROM a\nUSER App\nRUN x\n");
  expect(() => dockerfileOf(spec, { ...UNIX, buildkit: true })).toThrow(UnwritableSpec);
});

test("a line of a million blanks takes no time to speak of", () => {
  const spec = readSpec(`((from a) (run (shell "x${" ".repeat(1_000_000)}y")))`);
  expect(dockerfileOf(spec, UNIX)).toHaveLength(1_000_014);
});
