// Bundles the web page: one script, one style sheet and a few pictures, whose names change with
// what is in them, so that browsers may keep them for ever, and index.html, which names them.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { ROOT } from "./process.mjs";

const PAGE = join(ROOT, "src/web/page");

/**
 * Puts the page into a new directory: `index.html`, and `assets/NAME-HASH.EXTENSION`. Each is there
 * compressed as well, with `.br` and `.gz` after its name. Returns the paths of all sources that
 * went into it, relative to the root of the project.
 * @param {string} outdir
 */
export async function buildPage(outdir) {
  // Not before now: set-up may only just have installed it.
  const { build } = await import("esbuild");
  const assets = join(outdir, "assets");
  mkdirSync(assets, { recursive: true });
  const { metafile } = await build({
    entryPoints: [join(PAGE, "main.tsx")],
    tsconfig: join(PAGE, "tsconfig.json"),
    outdir: assets,
    publicPath: "/assets/",
    entryNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    // The styles use light-dark(), which these are the first to know.
    target: ["chrome123", "firefox120", "safari17.5"],
    loader: { ".svg": "file" },
    legalComments: "none",
    metafile: true,
    absWorkingDir: ROOT,
    logLevel: "warning",
  });
  const names = Object.keys(metafile.outputs).map((path) => basename(path));
  const html = readFileSync(join(PAGE, "index.html"), "utf8")
    .replace("%MAIN_JS%", `/assets/${names.find((name) => name.endsWith(".js"))}`)
    .replace("%MAIN_CSS%", `/assets/${names.find((name) => name.endsWith(".css"))}`);
  writeFileSync(join(outdir, "index.html"), html);
  compress(join(outdir, "index.html"));
  for (const name of readdirSync(assets)) compress(join(assets, name));
  return Object.keys(metafile.inputs);
}

/** @param {string} path */
function compress(path) {
  const content = readFileSync(path);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11 };
  writeFileSync(`${path}.br`, brotliCompressSync(content, { params }));
  writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
}
