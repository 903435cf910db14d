/** Colour decisions, and progress that does not break into other output. */
import { expect, test } from "vitest";
import { canRedraw, paint, Terminal, useColor } from "../../src/console/terminal.js";

function screen(isTTY: boolean, columns = 80) {
  const sink = { isTTY, columns, text: "", write: (text: string) => (sink.text += text) };
  return sink;
}

test.each([
  ["auto", true, { TERM: "xterm" }, true],
  ["auto", false, { TERM: "xterm" }, false],
  ["auto", true, { TERM: "dumb" }, false],
  ["auto", true, {}, false],
  ["auto", true, { TERM: "xterm", NO_COLOR: "1" }, false],
  ["auto", true, { TERM: "xterm", NO_COLOR: "" }, true],
  ["always", false, { NO_COLOR: "1" }, true],
  ["never", true, { TERM: "xterm" }, false],
] as const)("--color=%s, terminal %j, %j: %j", (choice, isTTY, env, expected) => {
  expect(useColor(choice, screen(isTTY), env)).toBe(expected);
});

test.each([
  [true, { TERM: "xterm" }, true],
  [true, { TERM: "dumb" }, false],
  [true, {}, false],
  [false, { TERM: "xterm" }, false],
])("terminal %j, %j: redrawn in place: %j", (isTTY, env, expected) => {
  const sink = screen(isTTY);
  expect(canRedraw(sink, env)).toBe(expected);
  new Terminal(sink, canRedraw(sink, env)).status("waiting");
  expect(sink.text).toBe(expected ? "waiting\r" : "");
});

test("paint adds codes only when asked to", () => {
  expect(paint(true, "red", "x")).toBe("\u001b[31mx\u001b[0m");
  expect(paint(false, "red", "x")).toBe("x");
});

test("an announcement is completed on its line", () => {
  const sink = screen(false);
  const terminal = new Terminal(sink);
  terminal.announce("Connecting to tcp:127.0.0.1:9000");
  expect(sink.text).toBe("Connecting to tcp:127.0.0.1:9000... ");
  terminal.conclude("OK");
  expect(sink.text).toBe("Connecting to tcp:127.0.0.1:9000... OK\n");
});

test("lines in between an announcement and its outcome stay whole", () => {
  const sink = screen(false);
  const terminal = new Terminal(sink);
  terminal.announce("Connecting");
  terminal.line("a warning");
  terminal.line("another");
  terminal.conclude("OK");
  terminal.conclude("OK");
  expect(sink.text).toBe("Connecting... \na warning\nanother\nConnecting... OK\n");
});

test("an announcement without an outcome does not swallow the next", () => {
  const sink = screen(false);
  const terminal = new Terminal(sink);
  terminal.announce("One");
  terminal.announce("Two");
  terminal.conclude("OK");
  expect(sink.text).toBe("One... \nTwo... OK\n");
});

test("a status line is redrawn in place, and steps aside for lines", () => {
  const sink = screen(true, 20);
  const terminal = new Terminal(sink);
  terminal.status("waiting");
  terminal.status("waiting");
  terminal.status("running for a long time now");
  terminal.line("log");
  terminal.withoutStatus(() => sink.write("<stdout>\n"));
  terminal.status("");
  terminal.line("end");
  expect(sink.text.replaceAll("\r\u001b[J", "<erase>").replaceAll("\r", "<home>")).toBe(
    "waiting<home><erase>running for a long <home><erase>log\nrunning for a long <home>" +
      "<erase><stdout>\nrunning for a long <home><erase>end\n",
  );
});

test("a status line is drawn anew when the terminal becomes narrow or wide", () => {
  let resized = (): void => {};
  const on = (_: "resize", listener: () => void) => (resized = listener);
  const sink = Object.assign(screen(true, 20), { on });
  new Terminal(sink).status("running for a long time");
  for (const columns of [8, 80, 100]) {
    sink.columns = columns;
    resized();
  }
  expect(sink.text.replaceAll("\r\u001b[J", "<erase>").replaceAll("\r", "<home>")).toBe(
    "running for a long <home><erase>running<home><erase>running for a long time<home>",
  );
});

test("a terminal that does not know its width is taken for a usual one", () => {
  const sink = screen(true, 0);
  new Terminal(sink).status("waiting");
  expect(sink.text).toBe("waiting\r");
});

test("a status line of wide characters fits, too", () => {
  const sink = screen(true, 14);
  new Terminal(sink).status("running on 東京の箱");
  expect(sink.text).toBe("running on 東\r");
});

test("there is no status line without a terminal", () => {
  const sink = screen(false);
  const terminal = new Terminal(sink);
  terminal.status("waiting");
  terminal.line("log");
  expect(sink.text).toBe("log\n");
});

test("a quiet program shows no progress, but lines", () => {
  const sink = screen(true);
  const terminal = new Terminal(sink);
  terminal.showsProgress = false;
  terminal.announce("Connecting");
  terminal.status("waiting");
  terminal.line("log");
  terminal.conclude("OK");
  expect(sink.text).toBe("log\n");
});
