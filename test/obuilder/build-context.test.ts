/*
 * What a Dockerfile's COPYs find in the build context, and what `.dockerignore` leaves of it.
 */

import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DirectoryContext } from "../../src/obuilder/dockerfile/build-context.js";
import { specFromDockerfile } from "../../src/obuilder/dockerfile/convert.js";
import { DockerfileError } from "../../src/obuilder/dockerfile/errors.js";
import { NO_SETTINGS } from "../../src/obuilder/dockerfile/image-settings.js";
import { toMachine } from "../../src/obuilder/sexp/printer.js";
import { sexpOfOp } from "../../src/obuilder/spec/spec-printer.js";
import { IgnoreFile } from "../../src/text/ignore-file.js";

describe("patterns", () => {
  const leavesOut = (text: string, path: string) =>
    new IgnoreFile(text).leavesOut(path) !== undefined;

  test.each([
    ["a", ["a", "a/b", "a/b/c"], ["b/a", "ab", "A"]],
    ["/a/", ["a"], ["b/a"]],
    ["./x/../a/b", ["a/b", "a/b/c"], ["a", "x/a/b"]],
    ["*.o", ["x.o", ".o", "x.o/y"], ["d/x.o", "x.oo"]],
    ["*/*.o", ["d/x.o"], ["x.o", "d/e/x.o"]],
    ["**/x.o", ["x.o", "d/x.o", "d/e/x.o"], ["xx.o", "d/xx.o"]],
    ["**/*.o", ["x.o", "d/e/x.o"], ["x.c"]],
    ["a/**", ["a/b", "a/b/c"], ["a", "ab"]],
    ["a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["az", "a/bz", "z"]],
    ["?[a-c][^x-z]", ["_bc", "aaa", "_c-"], ["bc", "_dc", "_bx", "_ax", "/aa"]],
    ["\\\\*", ["*"], ["a"]],
    ["a[b", ["a[b"], ["ab"]],
    ["# a\n\n  b  \n#c", ["b"], ["# a", "a", "#c"]],
    ["\ufeffa\r\nb\r", ["a", "b"], []],
    ["*\n!a\n!b/c", ["x", "b/d"], ["a", "b/c"]],
    ["!a\na", ["a"], []],
    [".\n..\n/", [], ["a"]],
  ])("%j", (text, out, kept) => {
    const pattern = text.replaceAll("\\\\", "\\");
    for (const path of out) expect([path, leavesOut(pattern, path)]).toEqual([path, true]);
    for (const path of kept) expect([path, leavesOut(pattern, path)]).toEqual([path, false]);
  });

  test("mean what the regular expressions mean that Docker makes of them", () => {
    const word = fc
      .array(fc.constantFrom("a", "b", "*", "**", "?", "/", "**/", "[ab]", "."), { maxLength: 8 })
      .map((parts) => parts.join(""));
    const path = fc.stringMatching(/^[ab.]{1,3}(\/[ab.]{1,3}){0,3}$/);
    const clean = (text: string) => !/^\/|\/$|\/\/|(^|\/)\.{1,2}(\/|$)|\*{3}/.test(text);
    fc.assert(
      fc.property(word.filter(clean), path.filter(clean), (pattern, name) => {
        fc.pre(pattern !== "");
        const parents = name.split("/").map((_, i, all) => all.slice(0, i + 1).join("/"));
        const expected = parents.some((each) => asRegExp(pattern).test(each));
        expect(leavesOut(pattern, name)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  function asRegExp(pattern: string): RegExp {
    // Where nothing else is special, it takes what comes after ** for the end of the path.
    const isEnding = /^\*\*[^/*?[\]][^*?[\]]*$/.test(pattern);
    const source = pattern.replace(/\*\*\/?$|\*\*\/?|\*|\?|\./g, (found, at: number) => {
      if (isEnding && found === "**") return ".*";
      if (found.startsWith("**")) return at + found.length === pattern.length ? ".*" : "(.*/)?";
      return { "*": "[^/]*", "?": "[^/]", ".": "\\." }[found]!;
    });
    return new RegExp(`^${source}$`);
  }

  test("take no time to speak of, whatever they are", () => {
    const ignored = new IgnoreFile(
      `${"*a".repeat(200)}b\n${"**/a/".repeat(200)}b\n${"?*".repeat(200)}x`,
    );
    expect(ignored.leavesOut(`${"a/".repeat(500)}${"a".repeat(1000)}`)).toBeUndefined();
  });
});

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "obuilder-context-"));
});

afterEach(() => rmSync(root, { recursive: true }));

function write(...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), path);
  }
}

/** The copies that these lines come to, and what is said about them. */
function convert(lines: string[], ignored: string[] = []): { copies: string[]; said: string[] } {
  const context = new DirectoryContext(root, new IgnoreFile(ignored.join("\n")));
  try {
    const imageSettings = () => NO_SETTINGS;
    const text = ["FROM a", ...lines].join("\n");
    const { spec, warnings } = specFromDockerfile(text, { context, imageSettings });
    const copies = spec.ops.map((op) => toMachine(sexpOfOp(op)));
    return { copies, said: warnings.map(({ line, message }) => `${line}: ${message}`) };
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    return { copies: [], said: error.problems.map(({ line, message }) => `${line}: ${message}`) };
  }
}

describe("sources", () => {
  test("are files or directories as the context has it", () => {
    write("src/f", "file");
    expect(convert(["COPY src file /app/"])).toEqual({
      copies: ["(copy(src src)(dst /app))", "(copy(src file)(dst /app/))"],
      said: [],
    });
  });

  test("are what links in the context lead to, under the links' names", () => {
    write("deep/file");
    symlinkSync("../up", join(root, "deep/link"));
    symlinkSync("/deep/file", join(root, "up"));
    symlinkSync("deep", join(root, "dir"));
    symlinkSync("nowhere", join(root, "dangling"));
    expect(convert(["COPY up /x", "COPY dir/link dir/file /y/", "COPY dir /z"]).copies).toEqual([
      "(copy(src deep/file)(dst /x))",
      "(copy(src deep/file)(dst /y/link))",
      "(copy(src deep/file)(dst /y/))",
      "(copy(src deep)(dst /z))",
    ]);
    expect(convert(["COPY dangling /x"]).said).toEqual([
      expect.stringMatching(
        /^2: dangling is a symbolic link that leads nowhere in the build context/,
      ),
    ]);
  });

  test("are what patterns match now, which is said", () => {
    for (const path of ["a.c", "b.c", ".c", "c.o", "d/e.c", "ignored.c", "dir/x"]) write(path);
    const { copies, said } = convert(["COPY *.c d*/[a-f]?c /x/"], ["ignored.c"]);
    expect(copies).toEqual(["(copy(src .c a.c b.c d/e.c)(dst /x/))"]);
    expect(said).toEqual([
      expect.stringMatching(
        /^2: a spec has no patterns; \*\.c became what it matches now: \.c, a\.c, b\.c$/,
      ),
      expect.stringMatching(/d\/e\.c$/),
    ]);
    expect(convert(["COPY no* a.c /x/"]).copies).toEqual(["(copy(src a.c)(dst /x/))"]);
    expect(convert(["COPY *.c /x"]).said.at(-1)).toMatch(/several sources needs a \/ at the end/);
    expect(convert(["WORKDIR /x", "RUN :", "COPY *.c /x"]).copies.at(-1)).toBe(
      "(copy(src .c a.c b.c ignored.c)(dst /x/))",
    );
  });

  test("have modes that a copy may not keep, which is said once", () => {
    write("secret");
    write("dir/other");
    chmodSync(join(root, "secret"), 0o600);
    chmodSync(join(root, "dir/other"), 0o664);
    expect(convert(["COPY secret /x", "COPY dir /y"]).said).toEqual([
      expect.stringMatching(/^2: secret has mode 600, which Docker keeps/),
    ]);
    expect(convert(["COPY --chmod=600 secret /x"]).said).toEqual([]);
  });

  test("that are archives are known by their content", () => {
    write("dir/x");
    const tar = (name: string, ...options: string[]) =>
      execFileSync("tar", ["-C", root, ...options, "-cf", join(root, name), "dir"]);
    tar("plain");
    tar("packed", "-z");
    writeFileSync(join(root, "text.tar"), "no archive".repeat(100));
    writeFileSync(join(root, "text.gz"), gzipSync("no archive".repeat(100)));
    const unpacked = (name: string) =>
      convert([`ADD ${name} /d`])
        .copies.join("\n")
        .match(/tar (-z )?-xf/)?.[0];
    expect(["plain", "packed", "text.tar", "text.gz"].map(unpacked)).toEqual([
      "tar -xf",
      "tar -z -xf",
      undefined,
      undefined,
    ]);
  });

  test("may be missing, for who writes the Dockerfile first", () => {
    expect(convert(["COPY later /x"])).toEqual({ copies: ["(copy(src later)(dst /x))"], said: [] });
  });

  test("of other stages have nothing to do with the context", () => {
    write("src/f");
    const { copies } = convert(["FROM b", "COPY --from=0 src /x"], ["src"]);
    expect(copies).toEqual(["(copy(from(build 0))(src src)(dst /x))"]);
  });
});

describe(".dockerignore", () => {
  test("becomes names to exclude, of what is there and of what may come", () => {
    write("a", ".git/config", "lib/x", "lib/.cache/y");
    expect(convert(["COPY . /x"], [".git", "**/.cache", "target", "lib/deep/z"])).toEqual({
      copies: ["(copy(src .)(dst /x)(exclude .cache .git target))"],
      said: [],
    });
    expect(convert(["COPY lib /x"], [".git", "**/.cache", "lib/x"]).copies).toEqual([
      "(copy(src lib)(dst /x)(exclude .cache x))",
    ]);
  });

  test("with wildcards becomes the names they match now, which is said", () => {
    write("a.c", "a.o", "d/b.o", "d/b.c");
    expect(convert(["COPY . /x"], ["**/*.o"])).toEqual({
      copies: ["(copy(src .)(dst /x)(exclude a.o b.o))"],
      said: [
        "2: a spec has no patterns; **/*.o (.dockerignore:1) became what it matches now: a.o, b.o",
      ],
    });
  });

  test("with exceptions keeps what they bring back", () => {
    write("docs/a", "docs/keep/b", "docs/keep/c", "src/f", "tmp/g");
    expect(convert(["COPY . /x"], ["docs", "tmp", "!docs/keep/b"]).copies).toEqual([
      "(copy(src .)(dst /x)(exclude a c tmp))",
    ]);
  });

  test("that names cannot say is an error", () => {
    write("test/data", "src/test/data", "src/f");
    expect(convert(["", "COPY . /x"], ["# tests", "test"]).said).toEqual([
      "3: .dockerignore:2 leaves out test, but not src/test; a spec can only exclude both",
    ]);
  });

  test("forbids to copy what it leaves out", () => {
    write("secret/key");
    expect(convert(["COPY secret/key /x"], ["secret"]).said).toEqual([
      "2: secret/key is left out by .dockerignore:1",
    ]);
  });
});
