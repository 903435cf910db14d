// Comments are wrapped at the column at which code is. The formatter leaves them as they are, so
// this looks.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./lib/process.mjs";

const { formatter } = JSON.parse(readFileSync(join(ROOT, "biome.json"), "utf8"));

/**
 * A line of prose: a comment and nothing else, not indented in there as tables and examples are, of
 * more than one word.
 */
const PROSE = /^\s*(?:\/\/|\/?\*{1,2}) ?\S+\s+\S/;

const files = execFileSync("git", ["ls-files", "*.ts", "*.tsx", "*.mjs"], {
  cwd: ROOT,
  encoding: "utf8",
})
  .split("\n")
  .filter((name) => name !== "" && !name.includes("/generated/"));
let wide = 0;
for (const file of files) {
  for (const [i, line] of readFileSync(join(ROOT, file), "utf8").split("\n").entries()) {
    if (line.length <= formatter.lineWidth || !PROSE.test(line)) continue;
    console.error(
      `${file}:${i + 1}: a comment of ${line.length} columns, at most ${formatter.lineWidth}`,
    );
    wide++;
  }
}
process.exitCode = wide === 0 ? 0 : 1;
