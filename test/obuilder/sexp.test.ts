import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SexpError } from "../../src/obuilder/sexp/errors.js";
import { toHuman, toMachine } from "../../src/obuilder/sexp/printer.js";
import { readSexp } from "../../src/obuilder/sexp/reader.js";
import { isAtom, type Sexp } from "../../src/obuilder/sexp/sexp.js";
import { compareBytes, fromBytes, toBytes } from "../../src/text/bytes.js";
import { goldenJson } from "../support/golden.js";
import { bytesOf, type JsonBytes, textOf } from "../support/obuilder-cases.js";
import { byteString, sexp } from "./arbitrary.js";

interface SexpData {
  readonly reader: readonly Reading[];
  readonly lists: readonly Reading[];
  readonly writer: readonly { atom: JsonBytes; mach: string; hum: string }[];
}

interface Reading {
  readonly input: JsonBytes;
  readonly mach?: string;
  readonly hum?: string;
  readonly error?: string;
  readonly line?: number;
  readonly char?: number;
}

const golden = goldenJson<SexpData>("obuilder/sexp.json");

/** What reading comes to, in the form of the golden data. */
function outcome(input: Uint8Array): Omit<Reading, "input"> {
  try {
    const read = readSexp(input);
    return { mach: toMachine(read), hum: toHuman(read) };
  } catch (error) {
    if (!(error instanceof SexpError)) throw error;
    if (error.kind !== "Parse_error") return { error: error.message };
    const { line, column } = error.position!;
    return { error: error.message, line, char: column - 1 };
  }
}

function failure(input: string | Uint8Array, file?: string): SexpError {
  try {
    readSexp(Buffer.from(input), file);
  } catch (error) {
    if (error instanceof SexpError) return error;
    throw error;
  }
  throw new Error("it was read");
}

function withoutPlaces(read: Sexp): Sexp {
  return isAtom(read) ? { atom: read.atom } : { items: read.items.map(withoutPlaces) };
}

describe("golden data", () => {
  test.each([...golden.reader, ...golden.lists])("reads $input", ({ input, ...expected }) => {
    expect(outcome(bytesOf(input))).toEqual(expected);
  });

  test.each(golden.writer)("writes $atom", ({ atom, mach, hum }) => {
    const written = { atom: textOf(atom) };
    expect({ mach: toMachine(written), hum: toHuman(written) }).toEqual({ mach, hum });
  });
});

describe("what is written is read back", () => {
  test("from both forms, as text and as a file", () => {
    fc.assert(
      fc.property(sexp, (written) => {
        for (const text of [toMachine(written), `${toHuman(written)}\n`]) {
          expect(text).toMatch(/^[\n -~]*$/);
          expect(withoutPlaces(readSexp(Buffer.from(text)))).toEqual(written);
          expect(withoutPlaces(readSexp(Buffer.from(text), "FILE"))).toEqual(written);
        }
      }),
    );
  });

  test("or refused, whatever the bytes, but never a crash", () => {
    const soup = fc.array(
      fc.constantFrom("(", ")", '"', "\\", "#", "|", ";", "\r", "\n", " ", "x", "4", "a", "\xff"),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(soup, (parts) => {
        const input = Buffer.from(parts.join(""), "latin1");
        const { mach } = outcome(input);
        if (mach !== undefined) expect(outcome(Buffer.from(mach)).mach).toBe(mach);
      }),
    );
  });
});

describe("byte strings", () => {
  test("keep every byte", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(toBytes(fromBytes(bytes))).toEqual(Buffer.from(bytes));
      }),
    );
    fc.assert(fc.property(byteString, (text) => fromBytes(toBytes(text)) === text));
  });

  test("are the usual text where they are UTF-8", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(fromBytes(Buffer.from(text))).toBe(text);
      }),
    );
  });

  test("are ordered by their bytes, not by their UTF-16 units", () => {
    expect(["\u{10000}", "\uffee", "é", "z"].sort(compareBytes)).toEqual([
      "z",
      "é",
      "\uffee",
      "\u{10000}",
    ]);
  });
});

describe("where the end of a file differs from the end of a text", () => {
  test.each([
    // What follows a file's expression is not fed a space to end it.
    ["(a) b", "additional incomplete data in state Parsing_atom loading file F"],
    ["(a) b ", "more than one S-expression in file F"],
    ["(a) #;b", "additional incomplete data in state Parsing_sexp_comment loading file F"],
    ["(a)\r", "additional incomplete data in state Parsing_nested_whitespace loading file F"],
    ["(a) (b ", "additional incomplete data in state Parsing_list loading file F"],
    ["(a", "EOF in F while in state Parsing_list"],
  ])("%j", (text, message) => {
    expect(failure(text, "F").message).toBe(`Sexplib.Sexp.gen_load_sexp: ${message}`);
  });

  test("a line comment may end either", () => {
    expect(toMachine(readSexp(Buffer.from("a ;b"), "F"))).toBe("a");
    expect(toMachine(readSexp(Buffer.from("a ;b")))).toBe("a");
  });
});

describe("hostile text ends in bounded time and memory", () => {
  test("100,000 nested lists", () => {
    expect(failure("(".repeat(100_000)).message).toMatch(/nested more than 1000 deep/);
    const closed = "(".repeat(100_000) + ")".repeat(100_000);
    expect(failure(closed, "FILE").message).toMatch(/nested more than 1000 deep/);
    expect(failure(`#;${closed}`).message).toMatch(/nested more than 1000 deep/);
  });

  test("the deepest nesting that is allowed can be written, too", () => {
    const text = "(".repeat(1000) + ")".repeat(1000);
    const read = readSexp(Buffer.from(text));
    expect(toMachine(read)).toBe(text);
    expect(toHuman(read).replace(/\s/g, "")).toBe(text);
  });

  test("as long as it may be, and longer", () => {
    const size = 15 * 1024 * 1024;
    expect(isAtom(readSexp(Buffer.alloc(size, "a")))).toBe(true);
    const escapes = Buffer.concat([Buffer.from('"'), Buffer.alloc(size, "\\t"), Buffer.from('"')]);
    expect((readSexp(escapes) as { atom: string }).atom).toHaveLength(size / 2);
    expect(failure(Buffer.alloc(size, " ()")).message).toMatch(/got multiple/);
    expect(failure(Buffer.concat([Buffer.from("("), Buffer.alloc(size, " a")])).message).toMatch(
      /more than 1000000 parts/,
    );
    expect(failure(Buffer.alloc(50_000_000)).message).toMatch(/is too long/);
    expect(failure(`"${"\n".repeat(1_000_001)}"`).message).toMatch(/more than 1000000 parts/);
  });

  test("NUL bytes are text", () => {
    expect(toMachine(readSexp(Buffer.from("(a\0 \0)")))).toBe(String.raw`("a\000""\000")`);
  });
});

test("an error tells where it is", () => {
  const error = failure("(a\n  b))");
  expect(error.position).toEqual({ line: 2, column: 5 });
  expect(error.explain("x.spec")).toBe(
    "unexpected character: ')'\n  at line 2, column 5 of x.spec",
  );
});
