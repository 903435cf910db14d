/**
 * A way to `jobs.db` through a thread of its own.
 */
import { Worker } from "node:worker_threads";
import type { Answer, Failure, Hello, Queries, Request, ThreadData } from "./jobs-messages.js";
import { StoreError } from "./store-error.js";
import { threadFile } from "./thread-file.js";

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class JobsConnection {
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 1;
  private lost: Error | undefined;
  private closing: (() => void) | undefined;

  private constructor(
    private readonly worker: Worker,
    private readonly path: string,
    readonly book: Uint8Array,
    /** The highest id of a job that was ever given out, when the thread started. */
    readonly lastId: number,
  ) {
    worker.on("message", (answer: Answer) => this.answered(answer));
    worker.on("error", (error) => this.ended(error));
    worker.on("exit", () => this.ended(new Error("its thread has ended")));
  }

  /** Starts the thread. Rejects with a `StoreError` if the database cannot be used. */
  static async open(data: ThreadData): Promise<JobsConnection> {
    const worker = new Worker(threadFile("jobs-thread"), { workerData: data });
    const hello = await new Promise<Hello>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    if ("failure" in hello) {
      await worker.terminate();
      throw errorOf(data.path, hello.failure);
    }
    return new JobsConnection(worker, data.path, hello.book, hello.lastId);
  }

  /** Asks; answers come in the order of questions. Rejects with a `StoreError`. */
  ask<M extends keyof Queries>(
    method: M,
    args: Parameters<Queries[M]>,
  ): Promise<ReturnType<Queries[M]>> {
    return new Promise((resolve, reject) => {
      if (this.lost) throw this.lost;
      const id = this.nextId++;
      this.waiting.set(id, { resolve: resolve as Waiting["resolve"], reject });
      const request: Request = { id, method, args };
      this.worker.postMessage(request);
    });
  }

  /** Ends the thread when all that was asked is answered. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.lost) return resolve();
      this.closing = resolve;
      this.worker.postMessage("close");
    });
  }

  private answered(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ("failure" in answer) waiting?.reject(errorOf(this.path, answer.failure));
    else waiting?.resolve(answer.result);
  }

  private ended(error: Error): void {
    this.lost ??= new StoreError("failed", this.path, error.message, { cause: error });
    for (const { reject } of this.waiting.values()) reject(this.lost);
    this.waiting.clear();
    this.closing?.();
  }
}

function errorOf(path: string, { code, message }: Failure): StoreError {
  return code === undefined
    ? new StoreError("foreign", path, message)
    : StoreError.of(path, code, message);
}
