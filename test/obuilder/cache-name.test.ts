/*
 * File names of caches, which a store shares with the reference.
 */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { plainCacheName, prefixedCacheName } from "../../src/obuilder/stores/cache-name.js";
import { goldenJson } from "../support/golden.js";

const { cache_names: names } = goldenJson("obuilder/sexp.json") as {
  cache_names: { name: string; file: string }[];
};

describe("with a prefix", () => {
  it.each(names)("$name is $file", ({ name, file }) => {
    expect(prefixedCacheName(name)).toBe(file);
  });
});

describe("without a prefix", () => {
  it.each(["ok", "opam-archives", "A_.1", "c-x"])("%s is itself", (name) => {
    expect(plainCacheName(name)).toBe(name);
  });

  it.each(["", ".", "..", "../../etc", "a/b", "a:b,c\\d", "a\0b"])(
    "%j is one component that no mount option mistakes",
    (name) => {
      const file = plainCacheName(name);
      expect(file).toMatch(/^[A-Za-z0-9._%-]+$/);
      expect([".", ".."]).not.toContain(file);
    },
  );

  it("tells any two names apart", () => {
    const name = fc.string({
      maxLength: 6,
      unit: fc.constantFrom("a", ".", "%", "/", "2", "e", "é"),
    });
    fc.assert(
      fc.property(name, name, (a, b) => (a === b) === (plainCacheName(a) === plainCacheName(b))),
    );
  });
});
