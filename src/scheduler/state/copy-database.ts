/**
 * Copies a database that is in use into one file, as it is at one moment, in a thread of its own:
 * one of gigabytes takes minutes, in which nobody is to wait.
 */
import { Worker } from "node:worker_threads";
import type { Failure } from "./jobs-messages.js";
import { StoreError } from "./store-error.js";
import { threadFile } from "./thread-file.js";

/** `to` must not exist. */
export interface CopyOrder {
  readonly from: string;
  readonly to: string;
}

/**
 * Rejects with a `StoreError`, or with the signal's reason; what there is of the copy is the
 * caller's to remove.
 */
export async function copyDatabase(order: CopyOrder, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const worker = new Worker(threadFile("copy-database-thread"), { workerData: order });
  const stop = () => void worker.terminate();
  signal?.addEventListener("abort", stop);
  try {
    const failure = await new Promise<Failure | null>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", () => reject(new Error("The thread that copies a database has ended")));
    });
    if (failure) throw StoreError.of(order.from, failure.code ?? "", failure.message);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
