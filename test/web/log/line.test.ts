/** Lines of a log as a terminal shows them, whatever is in them. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { plainText, showLine } from "../../../src/web/log/line.js";
import { afterSgr, PLAIN, RGB, rgbOf } from "../../../src/web/log/style.js";

const shown = (line: string) => showLine(line).runs.map(({ text }) => text);
const only = (line: string) => {
  const { runs } = showLine(line);
  expect(runs).toHaveLength(1);
  return runs[0]!;
};

describe("colours", () => {
  test("a heading of OBuilder is bold blue, and what follows it is not", () => {
    const { runs, style } = showLine("\x1b[01;34m/: (run (shell make))\x1b[0m done");
    expect(runs.map(({ text, style }) => [text, style.fg, style.bold])).toEqual([
      ["/: (run (shell make))", 4, true],
      [" done", -1, false],
    ]);
    expect(style).toEqual(PLAIN);
  });

  test("a style goes on with the next line, until it is ended", () => {
    const first = showLine("\x1b[31mred");
    const second = showLine("still red\x1b[m, not red", first.style);
    expect(second.runs.map(({ style }) => style.fg)).toEqual([1, -1]);
  });

  test.each([
    ["38;5;208", { fg: 208 }],
    ["48;5;16", { bg: 16 }],
    ["38;2;1;2;3", { fg: RGB + 0x010203 }],
    ["38:2::1:2:3", { fg: RGB + 0x010203 }],
    ["38:2:1:2:3", { fg: RGB + 0x010203 }],
    ["48:5:9", { bg: 9 }],
    ["97;102", { fg: 15, bg: 10 }],
    ["1;2;3;4;7", { bold: true, dim: true, italic: true, underline: true, inverse: true }],
    ["4:3", { underline: true }],
    ["38;5;300", {}],
    ["38;2;256;0;0", {}],
    ["38;2;1", {}],
    ["38", {}],
    ["5;8", {}],
    ["999;;;", {}],
  ])("ESC [ %s m", (parameters, expected) => {
    expect(afterSgr(PLAIN, parameters)).toMatchObject({ ...PLAIN, ...expected });
  });

  test("a colour of three bytes is not taken for its parts, and what follows counts", () => {
    expect(afterSgr(PLAIN, "38;2;31;1;4;9")).toMatchObject({ underline: false, strike: true });
    expect(afterSgr(PLAIN, "38;5;1;1")).toMatchObject({ fg: 1, bold: true });
  });

  test("of the palette, the first sixteen belong to the theme", () => {
    expect([rgbOf(-1), rgbOf(15)]).toEqual([null, null]);
    expect(rgbOf(16)).toEqual([0, 0, 0]);
    expect(rgbOf(231)).toEqual([255, 255, 255]);
    expect(rgbOf(208)).toEqual([255, 135, 0]);
    expect(rgbOf(255)).toEqual([238, 238, 238]);
    expect(rgbOf(RGB + 0xff8000)).toEqual([255, 128, 0]);
  });
});

describe("progress bars", () => {
  test.each([
    [" 10%\r 50%\r100%", "100%"],
    ["abcdef\rxy", "xycdef"],
    ["abcdef\rxy\x1b[K", "xy"],
    ["abcdef\x1b[2K\rxy", "xy"],
    ["abcdef\x1b[1Gxy", "xycdef"],
    ["abc\b\bX", "aXc"],
    ["a\x1b[3Cb", "a   b"],
    ["abc\x1b[2DX", "aXc"],
    ["Get:1 http\r\n".trimEnd(), "Get:1 http"],
    ["done\r", "done"],
    ["a\tb\rX", "X       b"],
    ["abc\x1b[1Kd", "   d"],
    ["\x1b[3;1Hat another row", "at another row"],
  ])("%j is left as %j", (line, left) => {
    expect(plainText(line)).toBe(left);
  });

  test("what is written over takes its colour along", () => {
    const { runs } = showLine("\x1b[31mred red\r\x1b[32mgreen");
    expect(runs.map(({ text, style }) => [text, style.fg])).toEqual([
      ["green", 2],
      ["ed", 1],
    ]);
  });

  test("a cursor that is sent far away costs nothing", () => {
    expect(plainText("\x1b[999999999Cx").length).toBeLessThanOrEqual(4097);
    expect(plainText("\x1b[999999999Gx\r\x1b[K")).toBe("");
  });

  test("a megabyte of them is quick, and what is left is the last", () => {
    const bar = Array.from({ length: 100_000 }, (_, i) => `\r${i % 100}% of it`).join("");
    expect(plainText(`${bar}\rdone      `)).toBe("done      ");
  });
});

describe("links", () => {
  test("what a terminal would link, of the web alone", () => {
    expect(only("\x1b]8;;https://example.org/a?b=1\x1b\\here\x1b]8;;\x07")).toMatchObject({
      text: "here",
      href: "https://example.org/a?b=1",
    });
  });

  test.each([
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "file:///etc/passwd",
    "//example.org",
    "https://user:secret@example.org/",
    "https://bank.example@evil.example/",
    "https://",
    "https://exa mple.org",
    "vbscript:x",
    "\u0001javascript:alert(1)",
  ])("%j is no link", (url) => {
    const { runs } = showLine(`\x1b]8;;${url}\x1b\\here\x1b]8;;\x1b\\`);
    expect(runs.every(({ href }) => href === undefined)).toBe(true);
    expect(runs.map(({ text }) => text).join("")).toContain("here");
  });

  test("URLs in plain text, without the sentence around them", () => {
    const { runs } = showLine("See (https://example.org/a_(b)?q=1#x). Or http://x.test:80/, ok");
    expect(runs.flatMap(({ href }) => href ?? [])).toEqual([
      "https://example.org/a_(b)?q=1#x",
      "http://x.test:80/",
    ]);
    expect(runs.map(({ text }) => text).join("")).toBe(
      "See (https://example.org/a_(b)?q=1#x). Or http://x.test:80/, ok",
    );
  });

  test("a link does not outlast its line", () => {
    const { style } = showLine("\x1b]8;;https://example.org\x1b\\never ended");
    expect(showLine("next", style).runs[0]!.href).toBeUndefined();
  });
});

/** The same of a small row, by doing at once what each sequence says. */
function written(parts: readonly string[]): string {
  let cells: string[] = [];
  let column = 0;
  for (const part of parts) {
    const [, digits, final] = /^\x1b\[(\d*)(.)$/.exec(part) ?? [];
    const count = Number(digits);
    if (part === "\r") column = 0;
    else if (final === "C") column += Math.max(1, count);
    else if (final === "D") column = Math.max(0, column - Math.max(1, count));
    else if (final === "G") column = Math.max(1, count) - 1;
    else if (final === "K" && count === 0) cells = cells.slice(0, column);
    else if (final === "K" && count === 2) cells = [];
    else if (final === "K") cells.fill(" ", 0, column + 1);
    else for (const character of part) cells[column++] = character;
  }
  return Array.from(cells, (cell) => cell ?? " ").join("");
}

test("whatever is moved, erased and written over, a line is as it was left", () => {
  const sequence = fc
    .tuple(fc.constantFrom("C", "D", "G", "K"), fc.nat(2))
    .map(([final, count]) => `\x1b[${count}${final}`);
  const part = fc.oneof(sequence, fc.constant("\r"), fc.constantFrom("a", "bc", "def"));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
      // So that what it moves over is there.
      const all = ["0123456789", ...parts];
      expect(plainText(all.join(""))).toBe(written(all));
    }),
    { seed: 17, numRuns: 2000 },
  );
});

describe("hostile lines", () => {
  test("markup is text", () => {
    const line = '<script>alert(1)</script><img src=x onerror="alert(2)">&lt;';
    expect(only(line).text).toBe(line);
  });

  test("what would set a title, ask for an answer, or clear the screen does nothing", () => {
    expect(shown("\x1b]0;title\x07a\x1b[c\x1b[6n\x1b[2J\x1bcb\x1bP+q544e\x1b\\c").join("")).toBe(
      "abc",
    );
  });

  test("a string that is not ended hides nothing", () => {
    expect(plainText("a\x1b]8;;https://x.test b")).toContain("https://x.test b");
    expect(plainText("a\x1bP never ended")).toContain("never ended");
  });

  test("control characters can be seen, and so can what turns the direction around", () => {
    expect(plainText("a\x00b\x07c\x7fd")).toBe("a␀b␇c␡d");
    expect(shown("user\u202e\u2066 // end").join("")).toBe("user<202E><2066> // end");
    expect(shown("\u009b31mred").join("")).toBe("<009B>31mred");
  });

  test("whatever comes, no escape is left, and no text is lost that is not one", () => {
    const part = fc.oneof(
      fc.constantFrom(
        "\x1b",
        "\x1b[",
        "\x1b]8;;",
        "\x07",
        "\r",
        "\b",
        "\t",
        "m",
        "K",
        "38;2;",
        "\x1b\\",
        "9",
        "https://a.b/",
      ),
      fc.string({ maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
        const { runs } = showLine(parts.join(""));
        for (const { href, text } of runs) {
          expect(text).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
          if (href !== undefined) expect(href).toMatch(/^https?:\/\/[^@\s]+/);
        }
      }),
      { seed: 17, numRuns: 2000 },
    );
  });

  const repeated = (piece: string) => piece.repeat(200_000 / piece.length);

  test("what takes time takes no more than its length: a quadratic walk would not end here", () => {
    const pieces = ["\x1b[31m", "\x1b", "\x1b]8;;", "\r", "\t\r", "\x1b[38;2;", "https://"];
    const erasing = ["\x1b[1K", "\x1b[K", "\x1b[2K", "x\x1b[1K", "\b\x1b[1K", "\x1b[9D\x1b[1K"];
    const moving = ["\rx\x1b[4096C\x1b[1K", "\r\x1b[K\x1b[4096Cx", "\x1b[2Kx", "\x1b[99999999G"];
    const far = `${"x".repeat(200_000)}\r`;
    const lines = [
      ...[...pieces, ...erasing, ...moving].map((piece) => repeated(piece)),
      ...erasing.map((piece) => "x".repeat(200_000) + repeated(piece)),
      ...erasing.map((piece) => `${far}${repeated(piece)}`),
      `https://a.b/${repeated(".")}x`,
      `\x1b[${repeated("9")}C\x1b[${repeated("9;")}m`,
    ];
    for (const line of lines) {
      const { runs } = showLine(line);
      expect(runs.length).toBeLessThanOrEqual(400_000);
    }
  });
});
