/**
 * Who keeps a job: its client's connection, or this worker on behalf of the scheduler. On that depends what happens to it
 * when nobody refers to it, and what outlives the worker's process.
 */
import type { FileHandle } from "node:fs/promises";
import type { Ending } from "./ending.js";

export interface Keeper {
  /** Why the job stops when the worker does. */
  readonly atWorkersEnd: "cancelled" | "evicted";
  /** Before the job runs; what it throws ends the job. */
  begin(): Promise<void>;
  /** For a log that outgrows memory. */
  openLogFile(): Promise<FileHandle>;
  /** The job has ended and its log is complete; its end is told when this has resolved. Never rejects. */
  keep(ending: Ending): Promise<void>;
  /** The scheduler, or its client, wants it to stop. */
  cancelled(): void;
  /** There is no reference to the job (any more). */
  released(): void;
  /** The scheduler has log and end on disk. */
  settled(): void;
}
