/** The documentation keeps what it promises, as far as a program can tell. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..");
const documents = execFileSync("git", ["ls-files", "*.md"], { cwd: ROOT, encoding: "utf8" })
  .trim()
  .split("\n")
  .filter((path) => existsSync(join(ROOT, path)));

/** The anchors that GitHub gives a document's headings. */
function anchors(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe("docs/protocol.md", () => {
  const text = readFileSync(join(ROOT, "docs/protocol.md"), "utf8");
  /** `Interface.method(param, …)` */
  const methods = ["ocluster", "extensions"].flatMap((name) => {
    const schema = readFileSync(join(ROOT, `schema/${name}.capnp`), "utf8").replaceAll(/#.*/g, "");
    return [...schema.matchAll(/^interface (\w+) \{\n((?:.*\n)*?)^\}/gm)].flatMap(
      ([, name, body]) =>
        [...body!.matchAll(/(\w+) @\d+ \((.*?)\)\s+->/g)].map(([, method, params]) => {
          const names = [...params!.matchAll(/(\w+) :/g)].map(([, param]) => param);
          return `${name}.${method}(${names.join(", ")})`;
        }),
    );
  });

  it("names every call there is, as it is in the schema, and no other", () => {
    const named = [...text.matchAll(/\b([A-Z]\w+\.[a-z]\w+\([\w, ]*\))/g)].map(([call]) => call);
    expect([...new Set(named)].sort()).toEqual(methods.sort());
  });
});

describe.each(documents)("%s", (document) => {
  const text = readFileSync(join(ROOT, document), "utf8");
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);

  it("links to what exists", () => {
    const local = links.filter((target) => !/^[a-z]+:/.test(target));
    const broken = local.filter((target) => {
      const [path, anchor] = target.split("#");
      const file = path === "" ? join(ROOT, document) : join(ROOT, dirname(document), path!);
      if (!existsSync(file)) return true;
      return anchor !== undefined && !anchors(readFileSync(file, "utf8")).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  it("names files and directories that exist", () => {
    const named = [
      ...text.matchAll(/`((?:src|test|scripts|docs|schema|bench|deploy)\/[\w./-]*)`/g),
    ];
    const missing = named.map(([, path]) => path!).filter((path) => !existsSync(join(ROOT, path)));
    expect(missing).toEqual([]);
  });

  it("names npm scripts that exist", () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const named = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name!);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
