/**
 * The checkout stands on its own: whoever clones the project has all that its tests, benches and
 * scripts read.
 */
import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..");

/**
 * Tests whose climbing paths are data: imports of a made-up tree, targets of links in roots that
 * they make.
 */
const WITH_OWN_TREES = new Set([
  "test/architecture.test.ts",
  "test/checkout.test.ts",
  "test/integration/docker-context.test.ts",
  "test/integration/docker-outputs.test.ts",
  "test/integration/obuilder-builds.test.ts",
  "test/integration/obuilder-copy.test.ts",
  "test/integration/obuilder-mount-targets.test.ts",
  "test/integration/outputs.test.ts",
  "test/worker/buildkit-session.test.ts",
  "test/worker/root-files.test.ts",
]);

/** What is in the checkout, committed or about to be. */
const files = execFileSync(
  "git",
  ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
  {
    cwd: ROOT,
    encoding: "utf8",
  },
)
  .split("\0")
  .filter((path) => path !== "" && existsSync(join(ROOT, path)));

/** Relative paths in a file's text that lead out of the checkout from the file's own directory. */
function climbs(path: string, text: string): string[] {
  return [...text.matchAll(/(?<![\w.])(?:\.\.\/)*\.\.(?:\/[\w@.-]+)*/g)]
    .map(([reference]) => reference)
    .filter((reference) => leavesCheckout(join(dirname(path), reference)));
}

/** `path` is relative to the root of the checkout. */
function leavesCheckout(path: string): boolean {
  return normalize(path).split("/")[0] === "..";
}

describe("nothing refers to what lies beside the checkout", () => {
  const texts = files.filter((path) => lstatSync(join(ROOT, path)).isFile());

  test("in a test, bench, script, document or source", () => {
    const found = texts
      .filter((path) => !WITH_OWN_TREES.has(path))
      .flatMap((path) => {
        const text = readFileSync(join(ROOT, path), "utf8");
        return climbs(path, text).map((reference) => `${path}: ${reference}`);
      });
    expect(found).toEqual([]);
  });

  test("by a symbolic link", () => {
    const links = files.filter((path) => lstatSync(join(ROOT, path)).isSymbolicLink());
    const outside = links.filter((path) => {
      const target = readlinkSync(join(ROOT, path));
      return target.startsWith("/") || leavesCheckout(join(dirname(path), target));
    });
    expect(outside).toEqual([]);
  });

  test("which would be seen", () => {
    const up = ["..", "..", ".."].join("/");
    expect(climbs("test/rpc/golden.test.ts", `new URL("${up}/beside/data/", here)`)).toEqual([
      `${up}/beside/data/`.replace(/\/$/, ""),
    ]);
    expect(climbs("test/rpc/golden.test.ts", 'from "../../src/rpc/index.js"')).toEqual([]);
    expect(leavesCheckout("..beside")).toBe(false);
  });
});
