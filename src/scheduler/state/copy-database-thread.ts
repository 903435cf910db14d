/**
 * The thread of `copyDatabase`: does that one thing, says how it went, and ends.
 *
 * It holds one state of the database all the while: a copy that follows what changes would begin
 * anew with each commit. And it goes in steps, so that the thread can be ended between two.
 */
import { parentPort, workerData } from "node:worker_threads";
import { SQLite } from "../../system/sqlite.js";
import type { CopyOrder } from "./copy-database.js";
import type { Failure } from "./jobs-messages.js";

/** How long it waits for another program's lock, in ms. */
const BUSY_TIMEOUT_MS = 10_000;

/** Of 4 KiB each. */
const PAGES_AT_ONCE = 256;

async function copy({ from, to }: CopyOrder): Promise<Failure | null> {
  try {
    const db = new SQLite(from, { readonly: true, timeout: BUSY_TIMEOUT_MS });
    try {
      db.exec("BEGIN");
      // A transaction has its state from what is read first.
      db.prepare("SELECT count(*) FROM sqlite_schema").get();
      await db.backup(to, { progress: () => PAGES_AT_ONCE });
    } finally {
      db.close();
    }
    return null;
  } catch (error) {
    const code = error instanceof SQLite.SqliteError ? error.code : undefined;
    return { message: error instanceof Error ? error.message : String(error), code };
  }
}

parentPort!.postMessage(await copy(workerData as CopyOrder));
