import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SexpError } from "../../src/obuilder/sexp/errors.js";
import { toMachine } from "../../src/obuilder/sexp/printer.js";
import type { Spec } from "../../src/obuilder/spec/spec.js";
import { formatSpec, sexpOfSpec } from "../../src/obuilder/spec/spec-printer.js";
import { readSpec } from "../../src/obuilder/spec/spec-reader.js";
import { fromBytes } from "../../src/text/bytes.js";
import { buildCases, goldenJson } from "../support/golden.js";
import { bytesOf, type ErrorCase, textOf } from "../support/obuilder-cases.js";
import { spec as anySpec } from "./arbitrary.js";

function failure(text: Uint8Array | string, file?: string): SexpError {
  try {
    readSpec(text, file);
  } catch (error) {
    if (error instanceof SexpError) return error;
    throw error;
  }
  throw new Error("it was read");
}

function run(fields: string): Spec["ops"][number] | undefined {
  return readSpec(`((from a) (run ${fields}))`).ops[0];
}

describe("golden cases", () => {
  test.each(buildCases())("$name: $about", ({ spec, expected }) => {
    const read = readSpec(bytesOf(spec));
    expect(toMachine(sexpOfSpec(read))).toBe(textOf(expected.canonical));
    expect(formatSpec(read)).toBe(textOf(expected.pretty));
  });
});

describe("golden errors", () => {
  const cases = goldenJson<ErrorCase[]>("obuilder/errors.json").filter(
    ({ stage }) => stage !== "build",
  );

  test.each(cases)("$name", (wanted) => {
    const error = failure(bytesOf(wanted.spec));
    expect(error.kind).toBe(wanted.kind);
    if (wanted.kind === "Of_sexp_error") {
      expect(error.message).toContain(textOf(wanted.message));
      expect(error.message).toContain(textOf(wanted.about!));
      expect(error.position).toBeDefined();
      expect(error.expected).toBeDefined();
    } else {
      expect(error.message).toBe(textOf(wanted.message));
    }
    if (wanted.kind === "Parse_error") {
      expect(error.position).toEqual({ line: wanted.line, column: wanted.char! + 1 });
    }
  });

  const fromFiles = cases.filter(({ message_file }) => message_file !== undefined);

  test.each(fromFiles)("$name, from a file", ({ spec, message_file }) => {
    expect(failure(bytesOf(spec), "FILE").message).toBe(textOf(message_file!));
  });
});

describe("what an error says beyond the exact words", () => {
  test("where, what, and what was expected instead", () => {
    const error = failure("((from a)\n (run (shell x))\n (workdir))");
    expect(error.about).toBe("(Workdir)");
    expect(error.explain("my.spec")).toBe(
      [
        'polymorphic variant tag "Workdir" has incorrect number of arguments: (Workdir)',
        "  at line 3, column 2 of my.spec",
        "  expected: (workdir PATH)",
      ].join("\n"),
    );
  });

  test.each([
    ["((from a) (shell /bin/sh\n  (b)))", 2, 3, "(shell WORD…)"],
    ["((from a)\n\n (run (cache (c))\n  (shell x)))", 3, 14, "(ID (target PATH)"],
    ["((from a) (frobnicate))", 1, 11, "one of comment, workdir"],
    ["((from a) (user (uid x)\n  (gid y)))", 2, 8, "(user (uid N) (gid N))"],
    [
      "((build x ((from b)\n (copy (from (build x)) (src a) (dst b)))) (from a))",
      2,
      2,
      "(build …)",
    ],
    ["((run (shell x)))", 1, 2, "(from IMAGE)"],
  ])("%j", (text, line, column, expected) => {
    const error = failure(text);
    expect(error.position).toEqual({ line, column });
    expect(error.expected).toContain(expected);
  });
});

describe("which of several errors is reported", () => {
  test.each([
    // Fields in declared order are converted last first, once those behind them are found well.
    ["(cache c) (shell (x))", "string_of_sexp: atom needed: (x)"],
    ["(cache c) (shell x) (zz)", "extra fields: zz"],
    ["(cache c)", "the following record elements were undefined: shell"],
    // Out of order, the shape of all comes first, then values in declared order.
    ["(shell (x)) (cache c)", "Invalid cache: c"],
    ["(shell) (zz) zz (zz)", "only pairs expected, their first element must be an atom: zz"],
    ["(shell x) (zz) (shell y) (cache) (cache)", "duplicate fields: shell cache"],
    ["(shell x) (yy) (zz 1 2)", "extra fields: yy zz"],
    ["(shell)", "only pairs expected, their first element must be an atom: ((shell))"],
  ])("%s", (fields, message) => {
    expect(failure(`((from a) (run ${fields}))`).message).toContain(message);
  });

  test("the scope of builds is checked only in a spec that is otherwise well", () => {
    const copy = "(copy (from (build b)) (src f) (dst g))";
    expect(failure(`((from a) ${copy} (workdir))`).message).toMatch(/Workdir/);
    expect(failure(`((from a) ${copy})`).message).toMatch(/^Unknown build "b"/);
  });
});

describe("scope of nested builds", () => {
  const copyFrom = (name: string) => `(copy (from (build ${name})) (src f) (dst g))`;
  const leaf = (name: string, ops = "") => `(build ${name} ((from a) ${ops}))`;

  test("is found out in no time to speak of, however many there are", () => {
    const builds = Array.from({ length: 30_000 }, (_, i) => leaf(`b${i}`)).join("");
    expect(readSpec(`(${builds} (from a) ${copyFrom("b0")})`).ops).toHaveLength(1);
    const { message } = failure(`(${builds} (from a) ${copyFrom("x")})`);
    expect(message.slice(0, 25)).toBe('Unknown build "x" in (cop');
  });

  test("an elder sibling and an uncle are in it", () => {
    const nephew = `(build mid (${leaf("inner", copyFrom("uncle"))} (from a)))`;
    readSpec(`(${leaf("uncle")} ${nephew} (from a) ${copyFrom("mid")})`);
    readSpec(`(${leaf("elder")} ${leaf("younger", copyFrom("elder"))} (from a))`);
  });

  test.each([
    ["the build itself", `(${leaf("b", copyFrom("b"))} (from a))`],
    ["a later sibling", `(${leaf("c", copyFrom("b"))} ${leaf("b")} (from a))`],
    ["a grandchild", `((build c (${leaf("b")} (from a))) (from a) ${copyFrom("b")})`],
  ])("%s is not", (_who, text) => {
    expect(failure(text).message).toMatch(/^Unknown build "b"/);
  });

  test("several builds in scope are named in order of bytes", () => {
    const text = `(${["é", "c", "B"].map((name) => leaf(name)).join(" ")} (from a) ${copyFrom("b")})`;
    expect(failure(text).message).toMatch(/\nDid you mean one of "B", "c", or "é" \?$/);
  });
});

describe("odd forms that are accepted", () => {
  test("an op's name may begin with a capital, with parentheses of its own", () => {
    const odd = '((from a) (Workdir /w) (Shell sh) (Run ((shell x))) (Env (K v)) (Comment "c"))';
    const usual = '((from a) (workdir /w) (shell sh) (run (shell x)) (env K v) (comment "c"))';
    expect(readSpec(odd)).toEqual(readSpec(usual));
    expect(failure("((from a) (Run (shell x)))").message).toMatch(/only pairs expected.*: shell$/);
    expect(failure("((from a) (Run x))").message).toBe("Invalid record field: x");
  });

  test.each([
    ["0x10", 16n],
    ["-1", -1n],
    ["+1", 1n],
    ["0b11", 3n],
    ["0o17", 15n],
    ["0u5", 5n],
    ["1_000_", 1000n],
    ["4611686018427387903", (1n << 62n) - 1n],
    ["-4611686018427387904", -(1n << 62n)],
    ["0x7fffffffffffffff", -1n],
  ])("user number %s", (literal, uid) => {
    const [op] = readSpec(`((from a) (user (uid ${literal}) (gid 0)))`).ops;
    expect(op).toEqual({ op: "user", user: { uid, gid: 0n } });
  });

  test.each(["_1", "0x", "0x_1", "1 ", "4611686018427387904", "0x8000000000000000", "1e3", "--1"])(
    "user number %j is none",
    (literal) => {
      const error = failure(`((from a) (user (uid "${literal}") (gid 0)))`);
      expect(error.message).toContain("int_of_sexp: (Failure int_of_string)");
    },
  );

  test("a number of a million digits is refused at once", () => {
    const digits = "1".repeat(1_000_000);
    expect(failure(`((from a) (user (uid ${digits}) (gid 0)))`).message).toMatch(/int_of_string/);
  });

  test("fields in any order, empty lists, options of mounts", () => {
    expect(run("(shell x) (network) (cache (c (buildkit_options ((k v))) (target /t)))")).toEqual({
      op: "run",
      cache: [{ id: "c", target: "/t", buildkitOptions: [["k", "v"]] }],
      network: [],
      secrets: [],
      shell: "x",
    });
  });

  test("bytes that are no UTF-8", () => {
    const text = Buffer.from('((from a) (comment "\\255\xff"))', "latin1");
    expect(readSpec(text).ops).toEqual([{ op: "comment", text: fromBytes(Buffer.of(255, 255)) }]);
  });
});

test("any spec, printed in either form, is read back the same", () => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      expect(readSpec(toMachine(sexpOfSpec(spec)))).toEqual(spec);
      expect(readSpec(formatSpec(spec))).toEqual(spec);
    }),
  );
});

test("300 builds within each other", () => {
  let text = "((from a))";
  for (let i = 0; i < 300; i++) text = `((build b ${text}) (from a))`;
  expect(toMachine(sexpOfSpec(readSpec(text)))).toHaveLength(text.replaceAll(" (", "(").length);
});
