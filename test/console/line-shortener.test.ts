/** The builder's notes, as a terminal gets them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { LineShortener } from "../../src/console/line-shortener.js";

const ID = "9d75f0d7c398df565d7ac04c6819b62d6d8f9560f5eb4672596ecd8f7e96ae91";
const note = (text: string) =>
  `\u001b[01;2m\u001b[01;35m2026-11-21 09:53.25 ---> ${text}\u001b[0m\n`;

const LOG =
  "Building on w\n\n(from busybox)\n" +
  note(`using "${ID}" from cache`) +
  `plain "${ID}"\n` +
  "\u001b[01;34m/: (run (shell date))\u001b[0m\n\u001b[01;3" +
  "\nÜ\n" +
  note(`saved as "${ID}"`) +
  "no newline";

const SHORT = LOG.replaceAll(
  note(`using "${ID}" from cache`),
  note('using "9d75f0d7c398…" from cache'),
).replaceAll(note(`saved as "${ID}"`), note('saved as "9d75f0d7c398…"'));

function shorten(...parts: readonly Uint8Array[]): string {
  const shortener = new LineShortener();
  return Buffer.concat([...parts.map((part) => shortener.push(part)), shortener.end()]).toString();
}

test("ids in notes are short, and nothing else is changed, wherever the log is cut", () => {
  const bytes = Buffer.from(LOG);
  expect(shorten(bytes)).toBe(SHORT);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const parts = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
      expect(shorten(...parts)).toBe(SHORT);
    }),
  );
});

test("what is shown of a note fits 100 columns", () => {
  const shown = SHORT.replaceAll(/\u001b\[[\d;]*m/g, "").split("\n");
  for (const line of shown.filter((each) => each.includes("--->"))) {
    expect(line.length).toBeLessThanOrEqual(100);
  }
});

test("a line that has not ended is shown at once, unless it may become a note", () => {
  const shortener = new LineShortener();
  expect(Buffer.from(shortener.push(Buffer.from("Password? "))).toString()).toBe("Password? ");
  expect(Buffer.from(shortener.push(Buffer.from("\nyes"))).toString()).toBe("\nyes");
  expect(shortener.push(Buffer.from("\n\u001b[01;2m"))).toHaveLength(1);
  const long = Buffer.from("\u001b[01;2m\u001b[01;35m".padEnd(2000, "x"));
  expect(Buffer.concat([shortener.end(), new LineShortener().push(long)]).length).toBe(2007);
});
