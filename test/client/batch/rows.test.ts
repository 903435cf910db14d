/**
 * Rows of batches: what files of each kind say, and what is refused before anything is submitted.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RowChunk, RowWriter } from "../../../src/batch/index.js";
import { fileNameOf } from "../../../src/client/batch/file-name.js";
import { type BatchInput, prepare } from "../../../src/client/batch/prepare.js";
import { ResultsFile } from "../../../src/client/batch/results.js";
import { textOfBytes } from "../../../src/client/batch/rows/row-source.js";

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-rows-"));
});

afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

function input(change: Partial<BatchInput> & { readonly spec?: string }): BatchInput {
  const { spec = "((from x) (env A {a}))", ...rest } = change;
  return {
    build: { kind: "spec", file: file("t.spec", spec) },
    ...{ each: [], cacheHint: "", source: undefined, secrets: [], skip: 0 },
    ...{ limit: Number.POSITIVE_INFINITY, allowUnused: false },
    ...rest,
  };
}

/** Keys and values of all rows, as texts. */
async function rows(change: Parameters<typeof input>[0]): Promise<[string, ...string[]][]> {
  const { chunks, template } = await prepare(input(change));
  return chunks.flatMap(({ bytes }) => {
    const chunk = new RowChunk(bytes, template.columns.length);
    return Array.from({ length: chunk.count }, (_, index): [string, ...string[]] => {
      const { key, values } = chunk.row(index);
      return [key, ...values.map(textOfBytes)];
    });
  });
}

const AB = "((from x) (env A {a}) (env B {b}))";

describe("rows", () => {
  it.each([
    ["r.csv", '\ufeffa,b\n1,"x, ""y""\nz"\n\n2,é\n'],
    ["r.tsv", 'a\tb\n1\t"x, ""y""\nz"\n2\té\n'],
    ["r.json", '[{"a":1,"b":"x, \\"y\\"\\nz"},\n{"b":"é","a":"2"}]'],
    ["r.jsonl", '{"a":1,"b":"x, \\"y\\"\\nz"}\n\n{"b":"é","a":"2"}\n'],
  ])("are read from %s", async (name, content) => {
    const each = [file(name, content)];
    expect(await rows({ each, spec: AB })).toEqual([
      ["1", "1", 'x, "y"\nz'],
      ["2", "2", "é"],
    ]);
  });

  it("are lines, numbers, and all combinations", async () => {
    const each = [file("r.txt", "p\nq\r\n\nr")];
    expect(await rows({ each, spec: "((from {item}))" })).toEqual([
      ["1", "p"],
      ["2", "q"],
      ["3", "r"],
    ]);
    const spec = "((from {item}) (env N {n}))";
    const all = { each, range: { from: 9, to: 10 }, key: "{item}-{n}", spec };
    expect((await rows(all)).map(([key]) => key)).toEqual([
      "p-9",
      "p-10",
      "q-9",
      "q-10",
      "r-9",
      "r-10",
    ]);
    expect((await rows({ ...all, skip: 1, limit: 2 })).map(([key]) => key)).toEqual([
      "p-10",
      "q-9",
    ]);
  });

  it("keep the text of numbers, and bytes that are no UTF-8", async () => {
    const each = [file("n.jsonl", '{"a":0.10}\n{"a":1e3}\n{"a":true}\n')];
    expect((await rows({ each })).map(([, a]) => a)).toEqual(["0.10", "1e3", "true"]);
    const { chunks } = await prepare(
      input({ each: [file("b.csv", Buffer.from("a\n\xff\xfe\n", "latin1"))] }),
    );
    expect(new RowChunk(chunks[0]!.bytes, 1).row(0).values).toEqual(["\xff\xfe"]);
  });

  it("come in many chunks, of which each can be read in any order", async () => {
    const { chunks, count } = await prepare(
      input({ range: { from: 1, to: 10_000 }, spec: "((from {n}))" }),
    );
    expect(chunks.map(({ first }) => first)).toEqual([0, 4096, 8192]);
    expect(count).toBe(10_000);
    expect(new RowChunk(chunks[1]!.bytes, 1).row(4095)).toEqual({ key: "8192", values: ["8192"] });
  });

  it.each<[string, Parameters<typeof input>[0] & { readonly content: string }, RegExp]>([
    ["r.csv", { content: "a\n1\n1,2\n" }, /r\.csv:3:1: Invalid Record Length/],
    ["r.csv", { content: "a,b\n1,2\n" }, /r\.csv:1:1: nothing uses the column "b"/],
    ["r.csv", { content: "b\n1\n" }, /t\.spec:1:18: \{a\}: there is no column "a": there is \{b\}/],
    ["r.csv", { content: "" }, /r\.csv:1:1: the first line is to name the columns/],
    ["r.csv", { content: "a\n" }, /there are no rows/],
    ["r.jsonl", { content: '{"a":1}\n{}\n' }, /r\.jsonl:2:1: there is no value for "a"/],
    ["r.jsonl", { content: '{"a":1}\n{"a":\n' }, /r\.jsonl:2:1: this is no JSON/],
    [
      "r.jsonl",
      { content: '{"a":1}\n{"a":[1]}\n' },
      /:2:1: the value of "a" is to be a text or a number/,
    ],
    [
      "r.csv",
      { content: "a\n1\n2\n1\n", key: "{a}" },
      /r\.csv:4:1: the key 1 is that of line 2, too/,
    ],
    ["r.csv", { content: 'a\n"x\ny"\n', key: "{a}" }, /the key "x\\ny" has control characters/],
    ["r.csv", { content: "a\n1\n", key: "{c}" }, /option '--key': \{c\}: there is no column "c"/],
    [
      "r.csv",
      { content: "a\nx\n", spec: "((from x) (user (uid {a}) (gid 0)))" },
      /of this row no spec can be made/,
    ],
    [
      "r.csv",
      { content: "a\n\0\n", spec: '((from x) (run (shell "echo {a}")))' },
      /has a NUL, which no shell/,
    ],
  ])("are refused with their place: %s %o", async (name, { content, ...change }, message) => {
    await expect(prepare(input({ ...change, each: [file(name, content)] }))).rejects.toThrow(
      message,
    );
  });

  it("are put into build arguments", async () => {
    const action = {
      ...{
        kind: "docker" as const,
        dockerfile: { path: "Dockerfile" },
        buildArgs: ["LAT={a}", "X={{a}}"],
      },
      ...{ squash: false, buildkit: false, includeGit: false },
    } as const;
    const each = [file("r.csv", "a\n1 2\n")];
    const { template } = await prepare({ ...input({ each }), build: { kind: "docker", action } });
    expect(template.buildArgs).toEqual([["LAT=", { column: 0, escape: "plain" }], ["X={a}"]]);
  });
});

it("a chunk holds whatever was put into it", () => {
  const row = fc.record({
    key: fc.string({ unit: "binary" }).map((text) => Buffer.from(text).toString()),
    values: fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 2, maxLength: 2 }),
  });
  fc.assert(
    fc.property(fc.array(row), (all) => {
      const writer = new RowWriter();
      const expected = all.map(({ key, values }) => {
        const bytes = values.map((value) => Buffer.from(value).toString("latin1"));
        writer.add(key, bytes);
        return { key, values: bytes };
      });
      const chunk = new RowChunk(writer.take(), 2);
      expect(Array.from({ length: chunk.count }, (_, index) => chunk.row(index))).toEqual(expected);
    }),
  );
});

describe("the name of a file", () => {
  it.each([
    ["52.1_-21", "52.1_-21"],
    ["../etc/passwd", "%2E.%2Fetc%2Fpasswd"],
    [".", "%2E"],
    ["a b", "a%20b"],
    ["Zürich", "Zürich"],
    ["100%", "100%25"],
  ])("of key %s is %s", (key, name) => {
    expect(fileNameOf(key)).toBe(name);
  });

  it("is another one for another key, and never leads anywhere", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (a, b) => {
        expect(fileNameOf(a)).toMatch(/^[^/\0.][^/\0]*$/);
        if (a !== b) expect(fileNameOf(a)).not.toBe(fileNameOf(b));
      }),
    );
  });
});

describe("a file of results", () => {
  const attempt = { worker: "w1", started: 1, ended: 3.5 };
  const job = (number: number) =>
    ({ job: number, state: "succeeded", output: "id", reason: "", attempts: [attempt] }) as never;
  const row = (number: number) => ({
    row: number,
    key: `k${number}`,
    values: ['x,"y"\nz'],
    job: job(number),
  });

  it.each(["r.jsonl", "r.csv"])("is gone on with: %s", (name) => {
    const path = file(name, "");
    const first = new ResultsFile(path, ["v"]);
    first.add([row(1), row(2)]);
    first.close();
    // A process was killed while it wrote.
    writeFileSync(path, `${readFileSync(path, "utf8")}{"half`);
    const second = new ResultsFile(path, ["v"]);
    second.add([row(1), row(2), row(3)]);
    second.close();
    const lines = readFileSync(path, "utf8").trim().split("\n");
    const rowsOfFile = name.endsWith("csv") ? lines.slice(1) : lines;
    expect(rowsOfFile).toHaveLength(3);
    if (name.endsWith("csv")) {
      expect(lines[1]).toBe(
        '1,1,k1,2,succeeded,w1,2.5,id,1970-01-01T00:00:01.000Z,1970-01-01T00:00:03.500Z,,"x,""y"" z"',
      );
    } else {
      expect(JSON.parse(lines[2]!)).toMatchObject({
        key: "k3",
        values: { v: 'x,"y"\nz' },
        seconds: 2.5,
      });
    }
  });

  it("that is something else is left as it is", () => {
    const path = file("notes.jsonl", "shopping list\n");
    expect(() => new ResultsFile(path, ["v"])).toThrow(/holds something else/);
    expect(readFileSync(path, "utf8")).toBe("shopping list\n");
  });
});
