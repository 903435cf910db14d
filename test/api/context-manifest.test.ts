/** Manifests of build contexts: what is written is read, and what would lead astray is refused. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { ContextManifest } from "../../src/api/index.js";

const HASH = "ab".repeat(32);
const FORM = '["ocluster-context",1]';

function read(...lines: readonly string[]): ContextManifest.ContextEntry[] {
  return [...ContextManifest.manifestEntries(Buffer.from([FORM, ...lines, ""].join("\n")))];
}

const dir = (path: string, mode = 0o755) => JSON.stringify(["d", path, mode]);
const file = (path: string, sha256 = HASH) =>
  JSON.stringify(["f", path, 0o644, 1_700_000_000_000_000, 3, sha256]);
const link = (path: string, target: string) => JSON.stringify(["l", path, target]);

it("what is written is read", () => {
  const entries: ContextManifest.ContextEntry[] = [
    { type: "file", path: "a", mode: 0o644, mtime: 1, size: 3, sha256: HASH },
    { type: "dir", path: "b", mode: 0o700 },
    { type: "file", path: "b/z", mode: 0o755, mtime: 2, size: 0, sha256: HASH },
    { type: "dir", path: "b/\udcff", mode: 0o755 },
    { type: "link", path: "b/\udcff/up", target: "/etc/passwd" },
    { type: "link", path: "c", target: "a" },
  ];
  const written = ContextManifest.writeManifest(entries);
  expect([...ContextManifest.manifestEntries(written)]).toEqual(entries);
  expect(ContextManifest.totalSize(entries)).toEqual({ files: 2, bytes: 3 });
  expect(read(file("A"), file("a"))).toHaveLength(2);
});

it.each([
  ["goes up", [file("../a")]],
  ["goes up on its way", [dir("a"), file("a/../../b")]],
  ["is absolute", [file("/etc/passwd")]],
  ["is the top itself", [dir("")]],
  ["is a dot", [dir(".")]],
  ["has an empty part", [dir("a"), file("a//b")]],
  ["ends with a slash", [dir("a/")]],
  ["has a NUL", [file("a\0b")]],
  ["is too long", [file("a".repeat(256))]],
  ["is there twice", [file("a"), file("a")]],
  ["is a file and a directory", [file("a"), dir("a"), file("a/b")]],
  ["is in a file", [file("a"), file("a/b")]],
  ["is in a link", [link("a", "/tmp"), file("a/b")]],
  ["is in no directory", [file("a/b")]],
  ["comes before its directory", [file("a/b"), dir("a")]],
  ["is not in its place", [file("b"), file("a")]],
  ["comes back to a directory that was left", [dir("a"), file("b"), file("a/c")]],
  ["points nowhere", [link("a", "")]],
  ["points to a NUL", [link("a", "b\0")]],
  ["has a set-user-id bit", [dir("a", 0o4755)]],
  ["has no hash", [file("a", "")]],
  ["has another hash", [file("a", HASH.toUpperCase())]],
  ["has a negative size", ['["f","a",420,0,-1,"aa"]']],
  ["is of no known kind", ['["p","a",420]']],
  ["is no list", ['{"path":"a"}']],
  ["is no JSON", ["["]],
])("an entry that %s is refused", (_, lines) => {
  expect(() => read(...lines)).toThrow(ContextManifest.BadManifest);
});

it("a manifest of another form, without its end, or of nothing is refused", () => {
  for (const text of ["", "\n", '["ocluster-context",2]\n', FORM, `${FORM}\n${file("a")}`]) {
    const entries = () => [...ContextManifest.manifestEntries(Buffer.from(text))];
    expect(entries, text).toThrow(ContextManifest.BadManifest);
  }
  expect(read()).toEqual([]);
});

it("a line that is too long is refused, and is not repeated to who sent it", () => {
  const long = Buffer.from(`${FORM}\n["${"x".repeat(1_000_000)}"]\n`);
  const refused = expect(() => [...ContextManifest.manifestEntries(long)]);
  refused.toThrow(/^.{0,200}a line of more than 65536 bytes$/);
});

it("directories can be within each other, but not without end", () => {
  const deep = (count: number) =>
    Array.from({ length: count }, (_, i) =>
      dir(
        Array(i + 1)
          .fill("d")
          .join("/"),
      ),
    );
  expect(read(...deep(200))).toHaveLength(200);
  expect(() => read(...deep(201))).toThrow("200 directories within each other");
});

it("whatever is in a manifest that is read, each entry is in the directory that it names", () => {
  const name = fc.constantFrom("a", "b", "..", ".", "", "a/b", "/", "\0", "B", "é", "\udcc3\udca9");
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
  const line = fc.oneof(
    path.map((at) => dir(at)),
    path.map((at) => file(at)),
    fc.tuple(path, path).map(([at, to]) => link(at, to)),
    fc.json(),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
      const seen = new Map<string, string>([["", "dir"]]);
      try {
        for (const { path: at, type } of ContextManifest.manifestEntries(
          Buffer.from([FORM, ...lines, ""].join("\n")),
        )) {
          const parts = at.split("/");
          expect(parts.every((part) => part !== "" && part !== "." && part !== "..")).toBe(true);
          expect(seen.get(parts.slice(0, -1).join("/"))).toBe("dir");
          expect(seen.has(at)).toBe(false);
          seen.set(at, type);
        }
      } catch (error) {
        if (!(error instanceof ContextManifest.BadManifest)) throw error;
      }
    }),
    { seed: 20_261_130, numRuns: 2000 },
  );
});
