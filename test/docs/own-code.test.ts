/**
 * The table of our own code in docs/dependencies.md names files that there are, with about as many
 * lines as they have.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

it("our own code is as long as it is said to be", () => {
  const text = readFileSync(join(ROOT, "docs/dependencies.md"), "utf8");
  const section = text.split("\n## Our own, and why\n")[1]!.split("\n## ")[0]!;
  const rows = section.split("\n").filter((line) => line.includes("`src/"));
  expect(rows.length).toBeGreaterThan(10);
  for (const row of rows) {
    const [, what, told, where] = row.split("|");
    const paths = [...where!.matchAll(/`([^`]+)`/g)].map(([, path]) => path!);
    const lines = paths.reduce((sum, path) => sum + linesOf(path), 0);
    expect(Math.abs(lines - Number(told)) / lines, `${what}: ${lines} lines`).toBeLessThan(0.25);
  }
});

/** Of a file, or of all TypeScript in a directory, whose name ends with a slash. */
function linesOf(path: string): number {
  const files = path.endsWith("/")
    ? readdirSync(join(ROOT, path), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".ts"))
        .map((name) => join(path, name))
    : [path];
  return files.reduce(
    (sum, file) => sum + readFileSync(join(ROOT, file), "utf8").split("\n").length - 1,
    0,
  );
}
