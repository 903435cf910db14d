/** Directories that users name: those that can be made, and what is said of those that cannot. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DirectoryError, makeDirectory } from "../../src/system/make-directory.js";

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-directories-"));
  writeFileSync(join(dir, "file"), "");
  mkdirSync(join(dir, "there"));
  symlinkSync("there", join(dir, "link"));
  symlinkSync("nowhere", join(dir, "dangling"));
});

afterAll(() => rmSync(dir, { recursive: true }));

it("makes a directory with its parents, all with the mode asked for", () => {
  const paths = ["a", "a/b", "a/b/c"].map((path) => join(dir, path));
  expect(makeDirectory(paths[2]!, "to be tested", 0o700)).toEqual(paths);
  expect(makeDirectory(join(dir, "a/b/d"), "to be tested")).toEqual([join(dir, "a/b/d")]);
  expect(makeDirectory(paths[2]!, "to be tested")).toEqual([]);
  for (const path of paths) {
    expect(statSync(path).mode & 0o777).toBe(0o700);
  }
});

it("leaves one that is there as it is, also at the end of a link", () => {
  for (const path of ["there", "link", "there/"])
    makeDirectory(join(dir, path), "to be tested", 0o700);
  expect(statSync(join(dir, "there")).mode & 0o777).not.toBe(0o700);
  makeDirectory(join(dir, "link/x"), "to be tested");
  expect(existsSync(join(dir, "there/x"))).toBe(true);
  makeDirectory("/", "to be tested");
});

describe("says what is in the way, and what the directory was for", () => {
  const refusal = (path: string): string => {
    try {
      makeDirectory(path, "to be tested (--dir)");
    } catch (error) {
      expect(error).toBeInstanceOf(DirectoryError);
      return (error as Error).message;
    }
    throw new Error(`"${path}" was made`);
  };

  it.each([
    ["a file in its place", "file", "file"],
    ["a file in its parents' place", "file/a/b", "file"],
    ["a link to nothing in its place", "dangling", "dangling"],
    ["a link to nothing in its parents' place", "dangling/a", "dangling"],
  ])("%s", (_, path, culprit) => {
    expect(refusal(join(dir, path))).toBe(
      `Cannot make "${join(dir, path)}", to be tested (--dir): "${join(dir, culprit)}" is not a directory. ` +
        "Choose another path, or put that right.",
    );
  });

  it("a file system that lets nothing be made in it", () => {
    expect(refusal("/proc/none/a/b")).toContain(': nothing can be made in "/proc". ');
    expect(refusal("/sys/none/a")).toMatch(
      /: there is no permission to make "\/sys\/none"|read-only/,
    );
  });
});
