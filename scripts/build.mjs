// Builds dist/ from src/: node scripts/build.mjs [--if-stale]

import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT, runScript, SetUpError, succeeds } from "./lib/process.mjs";

const DIST = join(ROOT, "dist");
/** The file that records what dist/ was built from. */
const STAMP = ".built-from";

export function build() {
  const from = fingerprint();
  // Aside first: a build that fails, or runs next to programs in use, leaves the old one whole.
  const fresh = mkdtempSync(join(ROOT, "dist-"));
  try {
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    if (!succeeds(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", fresh])) {
      throw new SetUpError("The build failed; see the compiler's messages above.");
    }
    writeFileSync(join(fresh, STAMP), from);
    chmodSync(fresh, 0o755);
    rmSync(DIST, { recursive: true, force: true });
    renameSync(fresh, DIST);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

export function buildIfStale() {
  if (isCurrent()) return;
  console.error("Building…");
  build();
}

function isCurrent() {
  try {
    return readFileSync(join(DIST, STAMP), "utf8") === fingerprint();
  } catch {
    return false;
  }
}

/** Changes whenever something that goes into the build does. */
function fingerprint() {
  const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => join("src", path));
  const hash = createHash("sha256");
  for (const path of [
    ...sources.sort(),
    "tsconfig.json",
    "tsconfig.build.json",
    "package-lock.json",
  ]) {
    const { mtimeMs, size } = statSync(join(ROOT, path));
    hash.update(`${path} ${mtimeMs} ${size}\n`);
  }
  return hash.digest("hex");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await runScript(process.argv.includes("--if-stale") ? buildIfStale : build);
}
