// Runs the tests: npm test [-- VITEST-ARGUMENT…], such as `npm test -- test/cli -t verbosity`.
//
// Sets up what is missing, builds, runs vitest, and ends with the line `N passed, N failed, N
// skipped`. A run that executes no test has failed.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, runScript } from "./lib/process.mjs";
import { setUp } from "./setup.mjs";

await runScript(async () => {
  await setUp("test");
  const dir = mkdtempSync(join(tmpdir(), "ocluster-vitest-"));
  try {
    const report = join(dir, "report.json");
    const { status } = spawnSync(
      process.execPath,
      [
        join(ROOT, "node_modules/vitest/vitest.mjs"),
        "run",
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${report}`,
        ...process.argv.slice(2),
      ],
      { cwd: ROOT, stdio: "inherit" },
    );
    const { passed, failed, skipped } = counts(report, status === 0);
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
    return failed === 0 && passed > 0 ? 0 : 1;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

/**
 * Counts tests. What fails outside of any test (a file that does not load, an error between tests,
 * a crash) counts as one.
 * @param {string} report
 * @param {boolean} succeeded
 */
function counts(report, succeeded) {
  let result = { passed: 0, failed: 0, skipped: 0 };
  try {
    const json = JSON.parse(readFileSync(report, "utf8"));
    result = {
      passed: json.numPassedTests,
      failed: json.numFailedTests,
      skipped: json.numPendingTests + json.numTodoTests,
    };
  } catch {
    // vitest died before it could write its report.
    succeeded = false;
  }
  return { ...result, failed: succeeded ? result.failed : Math.max(1, result.failed) };
}
