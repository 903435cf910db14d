// Runs the quick tests of some rooms: npm run test:unit -- ROOM… [-- VITEST-ARGUMENT…], such as
// `npm run test:unit -- scheduler rpc`. Without a room, those of all.
//
// Nothing is set up or built. Tests that want the built programs, an engine or a mount are left
// out; `npm test` runs them, too.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { ROOT, runScript, SetUpError } from "./lib/process.mjs";

const TESTS = join(ROOT, "test");

/**
 * Helpers that stand for what a machine has to have; who imports one, directly or not, is not
 * quick.
 */
const HEAVY = [
  "cluster",
  "compose",
  "compose-container",
  "debian-base",
  "debian-package",
  "docker-engine",
  "git-server",
  "image-writer",
  "loop-disk",
  "oci-layout",
  "programs",
  "prometheus",
  "systemd",
].map((name) => join(TESTS, "support", `${name}.ts`));

/** Rooms of tests that are nothing else. */
const NOT_QUICK = ["bin", "conformance", "deploy", "docs", "integration", "interop", "system"];

await runScript(async () => {
  const args = process.argv.slice(2);
  const split = args.includes("--") ? args.indexOf("--") : args.length;
  const rooms = args.slice(0, split);
  for (const room of rooms) {
    if (!existsSync(join(TESTS, room))) {
      throw new SetUpError(`There is no test/${room}. Rooms: ${roomsOfTests().join(", ")}.`);
    }
  }
  const files = (rooms.length > 0 ? rooms : roomsOfTests())
    .flatMap((room) => testsIn(join(TESTS, room)))
    .filter((file) => !isHeavy(file))
    .map((file) => relative(ROOT, file));
  if (files.length === 0) throw new SetUpError("None of these tests is quick: use `npm test`.");
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const { status } = spawnSync(
    process.execPath,
    [vitest, "run", ...files, ...args.slice(split + 1)],
    { cwd: ROOT, stdio: "inherit" },
  );
  return status ?? 1;
});

function roomsOfTests() {
  return readdirSync(TESTS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !NOT_QUICK.includes(entry.name))
    .map(({ name }) => name)
    .filter((name) => testsIn(join(TESTS, name)).length > 0);
}

/** @param {string} dir */
function testsIn(dir) {
  return readdirSync(dir, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join(dir, name))
    .sort();
}

/**
 * Follows imports within test/.
 * @param {string} file
 * @param {Set<string>} seen
 * @returns {boolean}
 */
function isHeavy(file, seen = new Set()) {
  if (HEAVY.includes(file)) return true;
  if (seen.has(file) || !existsSync(file)) return false;
  seen.add(file);
  const code = readFileSync(file, "utf8");
  // A thread's program is a file of the build.
  if (/\/scheduler\/state\/(job-records|log-spool)\.js"/.test(code)) return true;
  return [...code.matchAll(/from "(\.[^"]*)\.js"/g)]
    .map(([, path]) => resolve(dirname(file), `${path}.ts`))
    .filter((path) => path.startsWith(TESTS))
    .some((path) => isHeavy(path, seen));
}
