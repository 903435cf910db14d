/** What option values mean, and what is said about those that mean nothing. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { address } from "../../src/bin/addresses.js";
import * as values from "../../src/cli/values.js";

let dir: string;
let file: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-values-"));
  file = join(dir, "a:b");
  writeFileSync(file, "secret");
});

afterAll(() => rmSync(dir, { recursive: true }));

describe("values", () => {
  test.each<[keyof typeof values | "address", values.Parser<unknown>, string, unknown]>([
    ["integer", values.integer(), "-12", -12],
    ["decimal", values.decimal(), "0.5", 0.5],
    ["decimal", values.decimal(), "1e3", 1000],
    ["percentage", values.percentage, "30", 30],
    ["percentage", values.percentage, "2.5%", 2.5],
    ["port", values.port, "65535", 65535],
    ["duration", values.duration, "600", 600],
    ["duration", values.duration, "0.5", 0.5],
    ["duration", values.duration, "1h30m", 5400],
    ["duration", values.duration, "250ms", 0.25],
    ["size", values.size(), "512", 512],
    ["size", values.size(1e9), "20", 20e9],
    ["size", values.size(1e9), "20b", 20],
    ["size", values.size(), "512M", 512 * 2 ** 20],
    ["size", values.size(), "1.5GiB", 1.5 * 2 ** 30],
    ["size", values.size(), "20GB", 20e9],
    ["nonEmpty", values.nonEmpty, " ", " "],
    ["oneOf", values.oneOf(["copy", "hardlink"]), "copy", "copy"],
    ["oneOf", values.oneOf(["copy", "hardlink"]), "h", "hardlink"],
    ["oneOf", values.oneOf(["hardlink", "hardlink_unsafe"]), "hardlink", "hardlink"],
    ["imageTarget", values.imageTarget, "localhost:5000/a/b:c", "localhost:5000/a/b:c"],
    ["list", values.list(values.nonEmpty), "a, b,,c", ["a", "b", "c"]],
    ["list", values.list(values.nonEmpty), "", []],
    ["assignment", values.assignment, "a=b=c", { key: "a", value: "b=c" }],
    ["assignment", values.assignment, "a=", { key: "a", value: "" }],
    ["address", address, "tcp:0.0.0.0:9000", { kind: "tcp", host: "0.0.0.0", port: 9000 }],
    ["address", address, "unix:/run/s.sock", { kind: "unix", path: "/run/s.sock" }],
    [
      "namedUrls",
      values.namedUrls,
      "gpu:http://127.0.0.1:9/m,x:https://h/",
      [
        { name: "gpu", url: new URL("http://127.0.0.1:9/m") },
        { name: "x", url: new URL("https://h/") },
      ],
    ],
  ])("%s %o reads '%s'", (_name, parser, text, expected) => {
    expect(parser(text)).toEqual(expected);
  });

  test("a list of words knows them, for help and completion", () => {
    expect(values.list(values.oneOf(["a", "b"])).words).toEqual(["a", "b"]);
    expect(values.list(values.nonEmpty).words).toBeUndefined();
  });

  test("secrets are split at the first colon, so that files may have colons", () => {
    expect(values.secretFile(`id:${file}`)).toEqual({ id: "id", file });
  });

  test("files and directories are looked for", () => {
    expect(values.existingFile(file)).toBe(file);
    expect(values.existingDirectory(dir)).toBe(dir);
    expect(() => values.existingFile(dir)).toThrow(`'${dir}' is a directory, expected a file`);
    expect(() => values.existingDirectory(file)).toThrow(`'${file}' is not a directory`);
    expect(() => values.existingDirectory(`${dir}/x`)).toThrow(`no '${dir}/x' directory`);
    expect(() => values.existingFile(`${file}/x`)).toThrow(`no '${file}/x' file`);
  });

  test("directories that are to be made may be there, or not; but nothing else in their place", () => {
    expect(values.directory(dir)).toBe(dir);
    expect(values.directory(`${dir}/x/y`)).toBe(`${dir}/x/y`);
    expect(() => values.directory(file)).toThrow(`'${file}' is not a directory`);
  });
});

describe("values that mean nothing", () => {
  test.each<[values.Parser<unknown>, string, string]>([
    [values.integer(), "1.5", "invalid value '1.5', expected a whole number"],
    [values.integer(), "", "invalid value '', expected a whole number"],
    [values.integer(), "0x10", "invalid value '0x10', expected a whole number"],
    [values.integer({ min: 1 }), "0", "invalid value '0', expected a whole number of at least 1"],
    [values.integer({ max: 9 }), "10", "invalid value '10', expected a whole number of at most 9"],
    [values.port, "65536", "invalid value '65536', expected a whole number from 0 to 65535"],
    [values.decimal(), "NaN", "invalid value 'NaN', expected a number"],
    [values.decimal(), "Infinity", "invalid value 'Infinity', expected a number"],
    [values.decimal(), "1e999", "invalid value '1e999', expected a number"],
    [values.percentage, "101", "invalid value '101', expected a percentage from 0 to 100"],
    [values.percentage, "%", "invalid value '%', expected a percentage from 0 to 100"],
    [
      values.duration,
      "soon",
      "invalid value 'soon', expected a number of seconds, or a duration such as 10m or 1h30m",
    ],
    [
      values.moment,
      "5",
      "invalid value '5', expected a time such as 7d, 2h, yesterday, 2026-11-30 or 2026-11-30T18:00",
    ],
    [values.size(), "5iB", "invalid value '5iB', expected a size such as 512M or 20GB"],
    [values.size(), "-1M", "invalid value '-1M', expected a size such as 512M or 20GB"],
    [values.nonEmpty, "", "the value must not be empty"],
    [values.utf8Name, "", "the value must not be empty"],
    [values.utf8Name, "a\ufffd", "the name 'a\ufffd' is not UTF-8; give it in a UTF-8 locale"],
    [values.existingFile, "", "the value must not be empty"],
    [values.oneOf(["a", "b"]), "c", "invalid value 'c', expected one of a, b"],
    [values.oneOf(["ab", "ac"]), "a", "invalid value 'a', expected one of ab, ac"],
    [values.oneOf(["ab", "ac"]), "", "invalid value '', expected one of ab, ac"],
    [values.imageTarget, "image", "invalid value 'image', expected REPO:TAG"],
    [values.imageTarget, "a:-b", "invalid value 'a:-b', expected REPO:TAG"],
    [values.imageTarget, "h:5000/a", "invalid value 'h:5000/a', expected REPO:TAG"],
    [values.imageTarget, "Org:1", "invalid value 'Org:1', expected REPO:TAG"],
    [values.imageTarget, "image:", "invalid value 'image:', expected REPO:TAG"],
    [values.imageTarget, ":tag", "invalid value ':tag', expected REPO:TAG"],
    [values.list(values.integer()), "1,x", "invalid value 'x', expected a whole number"],
    [values.assignment, "=b", "invalid value '=b', expected KEY=VALUE"],
    [address, "9000", `Missing ':' in address "9000" (expected tcp:HOST:PORT or unix:/PATH)`],
    [values.secretFile, "id", "invalid value 'id', expected ID:FILE"],
    [values.secretFile, ":f", "invalid value ':f', expected ID:FILE"],
    [values.secretFile, "id:/nonexistent", "no '/nonexistent' file"],
    [
      values.namedUrls,
      "a:ftp://h/",
      "invalid value 'a:ftp://h/', expected NAME:URL with an http or https URL",
    ],
    [values.namedUrls, "a:http://h/,a:http://i/", "the name 'a' is given twice"],
  ])("%o refuses '%s'", (parser, text, message) => {
    expect(() => parser(text)).toThrow(new values.ValueError(message));
  });

  test("whatever the text, a parser returns a value or a ValueError", () => {
    const parsers: values.Parser<unknown>[] = [
      values.integer(),
      values.decimal(),
      values.percentage,
      values.duration,
      values.size(),
      values.list(values.integer()),
      address,
      values.assignment,
      values.namedUrls,
    ];
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.constantFrom(...parsers), (text, parser) => {
        try {
          parser(text);
        } catch (error) {
          expect(error).toBeInstanceOf(values.ValueError);
        }
      }),
    );
  });
});
