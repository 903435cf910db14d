import { describe, expect, test } from "vitest";
import { dockerfileOf, UnwritableSpec } from "../../src/obuilder/dockerfile/from-spec.js";
import { readSpec } from "../../src/obuilder/spec/spec-reader.js";
import { goldenDir } from "../support/golden.js";
import { bytesOf, type DockerfileCase, textOf } from "../support/obuilder-cases.js";

const UNIX = { buildkit: false, escape: "unix" } as const;
const SHELL = "(shell /bin/sh -c)";

/** The lines behind FROM. */
function lines(ops: string, style: Parameters<typeof dockerfileOf>[1] = UNIX): string[] {
  return dockerfileOf(readSpec(`((from a) ${ops})`), style)
    .split("\n")
    .slice(1, -1);
}

describe("golden data", () => {
  const cases = goldenDir<DockerfileCase & { name: string }>("obuilder/dockerfile");

  test.each(cases.map((data, i) => ({ i, ...data })))("case $i", ({ spec, output, ...style }) => {
    expect(dockerfileOf(readSpec(bytesOf(spec)), style)).toBe(textOf(output));
  });
});

describe("commands", () => {
  test.each([
    ["x &&\\n   y ||\\t\\n\\n z", ["RUN x && \\", "    y || \\", "     \\", "    z"]],
    ["a |\\nb 'c d'", ["RUN a | \\", "    b 'c d'"]],
    ["[ -f x ]", ["RUN [ -f x ]"]],
    ["echo <<<x", ["RUN echo <<<x"]],
  ])("stay the reference's: %s", (command, expected) => {
    expect(lines(`${SHELL} (run (shell "${command}"))`).slice(1)).toEqual(expected);
  });

  test.each([
    "a\\nb",
    "a &&\\n# b\\nc",
    "a 'x &&\\ny'",
    "a \\\\\\n b",
    "a >|\\nb",
    "echo a\\\\",
    "--network=none x",
    '[\\"a\\"]',
    "cat <<EOF",
    "x\u00a0",
  ])("that would become others are written as JSON: %s", (command) => {
    const [, run] = lines(`${SHELL} (run (shell "${command}"))`);
    expect(run).toBe(`RUN [ "/bin/sh", "-c", "${command}" ]`);
  });

  test("are run by the shell of the spec, if it says none by that of the builder", () => {
    expect(lines('(run (shell "a\\nb"))')).toEqual([
      'RUN [ "/usr/bin/env", "bash", "-c", "a\\nb" ]',
    ]);
    expect(lines("(shell) (run (shell a))")).toEqual(['RUN [ "a" ]']);
    expect(lines(`${SHELL} (run (shell ""))`)[1]).toBe('RUN [ "/bin/sh", "-c", "" ]');
  });

  test("get variables with line breaks from env", () => {
    expect(lines(`${SHELL} (env A "1\\n2") (run (shell x)) (env A 3) (run (shell x))`)).toEqual([
      'SHELL [ "/bin/sh", "-c" ]',
      '# The value of "A" has line breaks, which ENV cannot say; commands get it from env.',
      'RUN [ "env", "A=1\\n2", "/bin/sh", "-c", "x" ]',
      'ENV A="3"',
      "RUN x",
    ]);
    const many = '(env A "1\\n2") (run (shell x))'.repeat(3);
    expect(() => lines(`(env B "\\n${"x".repeat(2_000_000)}") ${many}`)).toThrow(/add up to more/);
  });
});

test("a command that Docker would take for a list is written as one", () => {
  for (const command of ['[\\"a\\"]', "[1] || x", "[[]]"]) {
    expect(lines(`${SHELL} (run (shell "${command}"))`)[1]).toBe(
      `RUN [ "/bin/sh", "-c", "${command}" ]`,
    );
  }
  expect(lines(`${SHELL} (run (shell "[ -f x ]"))`)[1]).toBe("RUN [ -f x ]");
});

describe("a copy into a directory", () => {
  const ops = "(copy (src a dir b deep/dir/ . c) (dst /d/))";

  test("writes the directories that it knows so that they come out, and not their contents", () => {
    const isDirectory = (path: string) => path === "dir";
    expect(lines(ops, { ...UNIX, isDirectory })).toEqual([
      "COPY a /d/",
      "COPY dir /d/dir",
      "COPY b /d/",
      "COPY deep/dir/ /d/dir",
      "COPY . c /d/",
    ]);
  });

  test("says of others that they may be directories", () => {
    const doubts: string[] = [];
    const onDoubt = (path: string, destination: string) => doubts.push(`${path} to ${destination}`);
    const child = `((build b ((from x))) (from a) ${ops} (copy (from (build b)) (src e) (dst f/)))`;
    dockerfileOf(readSpec(child), { ...UNIX, onDoubt });
    expect(doubts).toEqual(["a to /d/", "dir to /d/", "b to /d/", "c to /d/", "e to f/"]);
    dockerfileOf(readSpec("((from a) (copy (src e) (dst /f)))"), { ...UNIX, onDoubt });
    expect(doubts).toHaveLength(5);
  });
});

describe("words", () => {
  test.each([
    ['(comment "a\\nRUN b")', "# a\n# RUN b"],
    ['(workdir "/a $b \'c")', "WORKDIR /a \\$b \\'c"],
    ['(workdir "/a ")', 'WORKDIR "/a "'],
    ["(workdir --a)", 'WORKDIR "--a"'],
    ['(env A "$B \\"c\\" \\\\")', 'ENV A="\\$B \\"c\\" \\\\"'],
    ['(env "A $B" c)', 'ENV "A \\$B"="c"'],
    ['(shell a "b \\"$0\\"")', 'SHELL [ "a", "b \\"$0\\"" ]'],
    ['(copy (src "a b" c) (dst "/$d/"))', 'COPY [ "a b", "c", "/\\\\$d/" ]'],
    ["(copy (src --a) (dst /d))", 'COPY [ "--a", "/d" ]'],
    ["(copy (src a*[b) (dst /d*))", "COPY a[*][[]b /d*"],
    ["(copy (src <<EOF) (dst /d))", 'COPY [ "<<EOF", "/d" ]'],
  ])("mean themselves: %s", (op, expected) => {
    expect(lines(op).join("\n")).toBe(expected);
  });

  test("of mounts are fields of CSV, in a flag", () => {
    const [run] = lines('(run (cache ("a,b c" (target "/d\\"e"))) (shell x))', {
      ...UNIX,
      buildkit: true,
    });
    expect(run).toBe('RUN --mount=type=cache,\\"id=a,b\\ c\\",\\"target=/d\\"\\"e\\",uid=0 x');
  });

  test.each([
    ['((from "a\\nRUN b"))', /no name of an image/],
    ["((from --platform=x))", /no name of an image/],
    ['((from a) (workdir "/a\\nRUN b"))', /line break/],
    ['((from a) (user (name "a\\nRUN b")))', /line break/],
    ['((from a) (env "A\\nRUN b" c))', /line break/],
    ['((from a) (env "" c))', /without a name/],
    ['((from a) (copy (src "\\255") (dst /x)))', /not UTF-8/],
  ])("that no Dockerfile can have are refused: %s", (spec, message) => {
    expect(() => dockerfileOf(readSpec(spec), UNIX)).toThrow(UnwritableSpec);
    expect(() => dockerfileOf(readSpec(spec), UNIX)).toThrow(message);
  });
});

test("stages have names that are Docker's, and nobody else's", () => {
  const inner = "(build x ((from b)))";
  const spec = readSpec(`
    ((build b ((from c) (run (shell 1))))
     (build "A b" (${inner} (from d) (copy (from (build x)) (src f) (dst /g))))
     (build x (${inner} (from e) (copy (from (build x)) (src f) (dst /g))))
     (from b)
     (copy (from (build x)) (src f) (dst /g))
     (copy (from (build "A b")) (src f) (dst /g))
     (copy (from (build b)) (src f) (dst /g)))`);
  const text = dockerfileOf(spec, UNIX);
  const names = [...text.matchAll(/^FROM \S+ as (\S+)$/gm)].map(([, name]) => name!);
  expect(new Set(names).size).toBe(5);
  for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9-]*$/);
  expect(names).not.toContain("b");
  // In order of writing: b, the x within A b, A b, the x within x, x.
  const [b, xOfA, a, xOfX, x] = names;
  const copies = [...text.matchAll(/--from=(\S+)/g)].map(([, name]) => name);
  expect(copies).toEqual([xOfA, xOfX, x, a, b]);
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
