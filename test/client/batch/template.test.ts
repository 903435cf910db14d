/** Templates: whatever a value holds, it arrives as it is, and a spec keeps its operations. */
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expand } from "../../../src/batch/index.js";
import { Columns } from "../../../src/client/batch/columns.js";
import { compileSpec } from "../../../src/client/batch/spec-template.js";
import { readSpec } from "../../../src/obuilder/language.js";
import type { Op, Spec } from "../../../src/obuilder/spec/spec.js";
import { fromBytes } from "../../../src/text/index.js";

const LIMIT = 64 * 1024 * 1024;

function compile(spec: string, ...names: string[]) {
  return compileSpec(Buffer.from(spec), "tile.spec", new Columns(names));
}

/** The spec for these values, each given as text. */
function fill(spec: string, row: Readonly<Record<string, string>>): Spec {
  const { pieces } = compile(spec, ...Object.keys(row));
  const values = Object.values(row).map((value) => Buffer.from(value).toString("latin1"));
  return readSpec(Buffer.from(expand(pieces, values, LIMIT), "latin1"));
}

function only(spec: Spec): Op {
  expect(spec.ops).toHaveLength(1);
  return spec.ops[0]!;
}

/** Bytes, of which any may come. */
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc
    .array(
      fc.constantFrom(
        "'",
        '"',
        "\\",
        ")",
        "(",
        "\n",
        "\r",
        "\0",
        "$(id)",
        "`id`",
        "#",
        ";",
        "#|",
        "|#",
        "é",
        " ",
        "$X",
        "!",
        "*",
        "~",
        "{a}",
        "}}",
      ),
    )
    .map((parts) => Buffer.from(parts.join(""))),
);

describe("a value", () => {
  it("is what an atom says, to the byte, and nothing else is", () => {
    const { pieces } = compile(
      "((from img:{tag}) (env A {v}) (copy (src a {v}) (dst /x{v}y)))",
      "v",
      "tag",
    );
    fc.assert(
      fc.property(bytes, bytes, (v, tag) => {
        const values = [v, tag].map((each) => Buffer.from(each).toString("latin1"));
        const spec = readSpec(Buffer.from(expand(pieces, values, LIMIT), "latin1"));
        const text = fromBytes(v);
        expect(spec).toEqual({
          children: [],
          from: fromBytes(Buffer.concat([Buffer.from("img:"), tag])),
          ops: [
            { op: "env", key: "A", value: text },
            {
              ...{ op: "copy", from: { from: "context" }, src: ["a", text], exclude: [] },
              dst: fromBytes(Buffer.concat([Buffer.from("/x"), v, Buffer.from("y")])),
            },
          ],
        });
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ["printf %s {v}", ""],
    ["printf %s a{v}b", "a b"],
    ["printf %s '{v}'", ""],
    ['printf %s "{v}"', ""],
    [`printf %s "$(printf %s {v}; printf .)" | sed '$ s/[.]$//'`, ""],
    [`printf %s "$(printf %s "{v}"; printf .)" | sed '$ s/[.]$//'`, ""],
    ["printf %s {v|sh} # a comment", ""],
    ['X={v}; printf %s "$X"', ""],
    ["cat <<< 'x' > /dev/null; printf %s {v}", ""],
  ])("is one piece of text to the shell: %s", (command, around) => {
    const spec = `((from x) (run (shell ${JSON.stringify(command)})))`;
    const { pieces } = compile(spec, "v");
    const [before = "", after = ""] = around.split(" ");
    // The shell has no NUL, and drops line ends at the end of a $(…) and of what sed prints.
    const value = bytes.map((each) => Buffer.from(each).toString().replaceAll("\0", ""));
    fc.assert(
      fc.property(value, (v) => {
        fc.pre(!command.includes("sed") || (v !== "" && !v.endsWith("\n")));
        const text = expand(pieces, [Buffer.from(v).toString("latin1")], LIMIT);
        const run = only(readSpec(Buffer.from(text, "latin1")));
        if (run.op !== "run") throw new Error(run.op);
        expect(execFileSync("bash", ["-c", run.shell]).toString()).toBe(before + v + after);
      }),
      { numRuns: 25 },
    );
  });

  it("may have a megabyte", () => {
    const value = '\\")(run (shell "id"))'.repeat(50_000);
    expect(only(fill("((from x) (env A {v}))", { v: value }))).toEqual({
      op: "env",
      key: "A",
      value,
    });
  });

  it("may be too long altogether, which is found before it is all there", () => {
    const { pieces } = compile(`((from x) ${"(env A {v}) ".repeat(1000)})`, "v");
    expect(() => expand(pieces, ["x".repeat(1_000_000)], 16_000_000)).toThrow(
      /more than 16000000 bytes/,
    );
  });
});

describe("a brace", () => {
  it.each([
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
    'echo "${HOME}" ${X:-a}',
    "awk '{print $1}' f",
    "awk '{if ($1) {print $2}}' f",
    "mkdir {a,b} {1..5}",
    "echo '{\"a\": 1}'",
    "find . -exec rm {} +",
    "f() { echo; }; f",
  ])("that is none of ours stays as it is: %s", (command) => {
    const run = only(fill(`((from x) (run (shell ${JSON.stringify(command)})))`, { v: "" }));
    expect(run).toMatchObject({ op: "run", shell: command });
  });

  it("is written twice", () => {
    const spec = "((from x) (env A {{v}}) (env B {{{v}}}) (env C {{{{.Id}}}}))";
    expect(fill(spec, { v: "1" }).ops).toMatchObject([
      { value: "{v}" },
      { value: "{1}" },
      { value: "{{.Id}}" },
    ]);
  });
});

describe("a placeholder", () => {
  it.each([
    [
      "((from x)\n  (env A {latt}))",
      /^tile.spec:2:10: \{latt\}: there is no column "latt": there is \{lat\}/,
    ],
    ["((from x) ({lat} y))", /1:12: \{lat\}: the first word of a list/],
    ["((from x) (env A {lat|up}))", /1:18: \{lat\|up\}: there is no filter "up"/],
    ["((from x) (run (shell \"echo '{lat|sh}'\")))", /within single quotes/],
    ['((from x) (run (shell "cat <<E\\n{lat}\\nE")))', /here-document/],
    ['((from x) (run (shell "echo `echo {lat}`")))', /backquotes/],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
    ['((from x) (run (shell "echo ${X:-{lat}}")))', /in or behind \$\{…\}/],
    ['((from x) (run (shell "echo $(({lat}+1))")))', /in or behind \$\(\(…\)\)/],
    ['((from x) (run (shell "true # {lat}")))', /in a comment/],
    ['((from x) (run (shell "echo \\\\{lat}")))', /behind a backslash/],
    [
      '((from x) (shell /usr/bin/python3 -c) (run (shell "print({lat})")))',
      /python3.*is not known/,
    ],
    ["((from x)", /^tile.spec:1:/],
  ])("is refused: %s", (spec, message) => {
    expect(() => compile(spec, "lat")).toThrow(message);
  });

  it("may be raw", () => {
    const spec = '((from x) (shell /usr/bin/python3 -c) (run (shell "print({lat|raw})")))';
    expect(fill(spec, { lat: "1" }).ops[1]).toMatchObject({ shell: "print(1)" });
  });

  it("is found in nested builds, whose shells are their own", () => {
    const spec = `((build a ((from {v}) (shell /bin/sh -c) (run (shell "echo {v}")))) (from y) (run (shell "echo {v}")))`;
    const { children, ops } = fill(spec, { v: "a'b" });
    expect(children[0]!.spec.from).toBe("a'b");
    expect(children[0]!.spec.ops.at(-1)).toMatchObject({ shell: "echo 'a'\\''b'" });
    expect(ops[0]).toMatchObject({ shell: "echo 'a'\\''b'" });
  });
});

it("operations that are the same in all rows are counted", () => {
  const spec = '((from x) (env A b) (run (shell "a")) (run (shell "b {v}")) (run (shell "c")))';
  expect(compile(spec, "v")).toMatchObject({ steps: 5, shared: 3 });
});
