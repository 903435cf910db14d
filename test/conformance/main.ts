/**
 * `npm run -s conformance -- KIND ARG…`: holds this program against recorded behaviour of the
 * reference.
 *
 * A line `PASS NAME` or `FAIL NAME` for each case, after the latter how it differs; exit status 1
 * if any fails.
 */

const DRIVERS: Record<string, () => Promise<{ run(args: string[]): Promise<number> }>> = {
  obuilder: () => import("./obuilder.js"),
  dockerfile: () => import("./dockerfile.js"),
  errors: () => import("./errors.js"),
  pool: () => import("./pool.js"),
};

const [kind, ...args] = process.argv.slice(2);
const driver = kind === undefined ? undefined : DRIVERS[kind];
if (driver) {
  try {
    process.exitCode = await (await driver()).run(args);
  } catch (error) {
    console.error(`conformance: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 2;
  }
} else {
  console.error(`usage: conformance ${Object.keys(DRIVERS).join("|")} ARG...`);
  process.exitCode = 2;
}
