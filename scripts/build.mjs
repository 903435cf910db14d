// Builds dist/ from src/: node scripts/build.mjs [--if-stale]

import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
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
import { buildPage } from "./lib/web-page.mjs";

const DIST = join(ROOT, "dist");
/** The file that records what dist/ was built from. */
const STAMP = ".built-from";

export async function build() {
  const from = fingerprint();
  // Aside first: a build that fails, or runs next to programs in use, leaves the old one whole.
  const aside = mkdtempSync(join(ROOT, "dist-"));
  const fresh = join(aside, "new");
  try {
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    if (!succeeds(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", fresh])) {
      throw new SetUpError("The build failed; see the compiler's messages above.");
    }
    const inputs = await bundlePrograms(join(fresh, "bin"));
    inputs.push(...(await buildPage(join(fresh, "web/page"))));
    writeFileSync(join(fresh, "bin/LICENSES.txt"), licenses(inputs));
    writeFileSync(join(fresh, STAMP), from);
    chmodSync(fresh, 0o755);
    // Programs are started all the time: there is no dist/ for no longer than between two renames.
    if (existsSync(DIST)) renameSync(DIST, join(aside, "old"));
    renameSync(fresh, DIST);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

export async function buildIfStale() {
  if (isCurrent()) return;
  console.error("Building…");
  await build();
}

/**
 * Puts each program, with the libraries that it always loads, into a few files. That halves the
 * time it takes to start, which matters to who starts a client for each of thousands of jobs.
 * Returns the paths of what went into them.
 * @param {string} outdir where the compiler has put the programs; they are replaced
 */
async function bundlePrograms(outdir) {
  // Not before now: set-up may only just have installed it.
  const { build } = await import("esbuild");
  const { bin, dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const { metafile } = await build({
    entryPoints: Object.keys(bin).map((name) => join(ROOT, "src/bin", `${name}.ts`)),
    outdir,
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: Object.keys(dependencies).filter((name) => !BUNDLED.includes(name)),
    // Bundled CommonJS packages ask for Node's own modules with it.
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
    },
    sourcemap: true,
    metafile: true,
    absWorkingDir: ROOT,
    allowOverwrite: true,
    logLevel: "warning",
  });
  for (const name of Object.keys(bin)) chmodSync(join(outdir, `${name}.js`), 0o755);
  return Object.keys(metafile.inputs);
}

/**
 * Always needed, and quicker to load from the bundle. The others load when they are used, if ever.
 */
const BUNDLED = ["@commander-js/extra-typings", "capnp-es", "commander", "node-forge"];

/**
 * The licenses of packages in a bundle, which ask to go with every copy.
 * @param {string[]} inputs
 */
function licenses(inputs) {
  const packages = new Set(
    inputs.flatMap((path) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []),
  );
  return [...packages]
    .sort()
    .map((dir) => {
      const file = readdirSync(join(ROOT, dir)).find((name) => /^licen[cs]e/i.test(name));
      if (file === undefined) throw new SetUpError(`${dir} has no license file.`);
      const text = readFileSync(join(ROOT, dir, file), "utf8");
      return `${dir.slice("node_modules/".length)}\n\n${text.trim()}\n`;
    })
    .join(`\n${"-".repeat(80)}\n\n`);
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
    .filter((path) => /\.(?:tsx?|css|html|svg|json)$/.test(path))
    .map((path) => join("src", path));
  const others = [
    "tsconfig.json",
    "tsconfig.build.json",
    "package-lock.json",
    "scripts/build.mjs",
    "scripts/lib/web-page.mjs",
  ];
  const hash = createHash("sha256");
  for (const path of [...sources.sort(), ...others]) {
    const { mtimeMs, size } = statSync(join(ROOT, path));
    hash.update(`${path} ${mtimeMs} ${size}\n`);
  }
  return hash.digest("hex");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await runScript(process.argv.includes("--if-stale") ? buildIfStale : build);
}
