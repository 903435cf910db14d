/**
 * The table of limits in docs/security.md has each limit of the files that it names, with its
 * default, and no other.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../src/rpc/limits.js";
import { admissionLimits } from "../../src/rpc/net/admission-limits.js";
import { DEFAULT_CLIENT_LIMITS } from "../../src/scheduler/services/client-limits.js";
import { WEB_LIMITS } from "../../src/web/server/limits.js";
import { DEFAULT_GIT_LIMITS } from "../../src/worker/context/git-limits.js";

const FILES: Readonly<Record<string, object>> = {
  "src/rpc/limits.ts": DEFAULT_LIMITS,
  "src/rpc/net/admission-limits.ts": admissionLimits({}, Number.POSITIVE_INFINITY),
  "src/scheduler/services/client-limits.ts": DEFAULT_CLIENT_LIMITS,
  "src/worker/context/git-limits.ts": DEFAULT_GIT_LIMITS,
  "src/web/server/limits.ts": WEB_LIMITS,
};

it("the documented limits are those of the source", () => {
  const documented: string[] = [];
  for (const [name, value, of] of rowsOf("### Defaults").slice(2)) {
    const file = /`(src\/.*)`$/.exec(of!)?.[1];
    documented.push(file ?? `${name} ${value}`);
  }
  const real = Object.entries(FILES).flatMap(([file, limits]) => [
    file,
    ...Object.entries(limits).map(([name, value]) => `\`${name}\` ${written(name, value)}`),
  ]);
  expect(documented).toEqual(real);
});

/** The cells of the table below a heading. */
function rowsOf(heading: string): string[][] {
  const text = readFileSync(join(import.meta.dirname, "../../docs/security.md"), "utf8");
  const section = text.slice(text.indexOf(`${heading}\n`)).split(/\n##/)[0]!;
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** A value as it is documented: names tell the units. */
function written(name: string, value: number): string {
  if (name.endsWith("Ms")) return `${value / 1000} s`;
  if (!/Bytes|Size$/.test(name)) return value.toLocaleString("en");
  if (value < 2 ** 20) return `${value / 2 ** 10} KiB`;
  return value < 2 ** 30 ? `${value / 2 ** 20} MiB` : `${value / 2 ** 30} GiB`;
}
