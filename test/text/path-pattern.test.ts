/** Which names a path with wildcards stands for. */
import { describe, expect, it } from "vitest";
import { readPathPattern } from "../../src/text/index.js";

/** Whether the only part after the fixed ones matches. */
function matches(pattern: string, name: string): boolean {
  const read = readPathPattern(`/${pattern}`);
  if (typeof read === "string") throw new Error(read);
  const [part] = read.parts;
  return part ? !part.deep && part.matches(name) : read.fixed[0] === name;
}

describe("a pattern", () => {
  it.each([
    ["*", "a.txt", true],
    ["*", ".hidden", false],
    [".*", ".hidden", true],
    ["*.txt", "a.txt", true],
    ["*.txt", "a.txt.gz", false],
    ["a*b*c", "axxbyyc", true],
    ["a*b*c", "axxbyy", false],
    ["?.txt", "ä.txt", true],
    ["[a-c]1", "b1", true],
    ["[!a-c]1", "b1", false],
    ["[]x]1", "]1", true],
    ["\\*", "*", true],
    ["\\*", "a", false],
    ["plain", "plain", true],
  ])("%s and %s: %s", (pattern, name, expected) => {
    expect(matches(pattern, name)).toBe(expected);
  });

  it("is read up to its first wildcard, and from there on", () => {
    const read = readPathPattern("//out/./sub/**/**/*.tif");
    expect(read).toMatchObject({
      fixed: ["out", "sub"],
      parts: [{ deep: true }, { deep: false }],
    });
    expect(readPathPattern("/")).toEqual({ fixed: [], parts: [] });
  });

  it.each([
    ["out", "is no absolute path"],
    ["/a/../b", "must not have '..'"],
    ["/a\0b", "has a NUL"],
    ["/[ab", "has a '[' without an end"],
    ["/**/a/**/b/**/c/**/d", "has too many '**'"],
  ])("says what is wrong with %j", (pattern, problem) => {
    expect(readPathPattern(pattern)).toBe(problem);
  });

  it("takes no time that grows with what it could mean", () => {
    const pattern = `${"*a".repeat(500)}b`;
    expect(matches(pattern, "a".repeat(255))).toBe(false);
  });
});
