/**
 * A thread that holds `jobs.db`, as a sync to the disk takes milliseconds in which nothing else may
 * wait: answers requests in their order. It is started by `JobsConnection`, and ends when it is
 * told to, or with its process.
 */
import { parentPort, workerData } from "node:worker_threads";
import { SQLite } from "../../system/sqlite.js";
import { JobsDatabase } from "./jobs-database.js";
import type { Answer, Failure, Hello, Request, ThreadData } from "./jobs-messages.js";

const port = parentPort!;

function start(): JobsDatabase | undefined {
  try {
    const database = new JobsDatabase(workerData as ThreadData);
    say({ book: database.book, lastId: database.lastId });
    return database;
  } catch (error) {
    say({ failure: failureOf(error) });
    return undefined;
  }
}

const database = start();

type Methods = Record<string, (...args: unknown[]) => unknown>;

port.on("message", (request: Request | "close") => {
  if (request === "close") {
    database?.close();
    port.close();
    return;
  }
  const { args, id, method } = request;
  try {
    // The arguments are of the method's own form: `JobsConnection.ask` sees to it.
    const owner = method in database! ? database! : database!.batches;
    const result = (owner as unknown as Methods)[method]!(...args);
    say({ id, result });
  } catch (error) {
    say({ id, failure: failureOf(error) });
  }
});

function say(message: Hello | Answer): void {
  port.postMessage(message);
}

function failureOf(error: unknown): Failure {
  const code = error instanceof SQLite.SqliteError ? error.code : undefined;
  return { message: error instanceof Error ? error.message : String(error), code };
}
