/**
 * Who keeps a job: its client's connection, or this worker on behalf of the scheduler. On that
 * depends what happens to it when nobody refers to it, and what outlives the worker's process.
 */
import type { FileHandle } from "node:fs/promises";
import type { OutputUpload } from "../../api/index.js";
import type { TakenFiles } from "../outputs/output-capture.js";
import type { Ending } from "./ending.js";

export interface Keeper {
  /** Why the job stops when the worker does. */
  readonly atWorkersEnd: "cancelled" | "evicted";
  /** Before the job runs; what it throws ends the job. */
  begin(): Promise<void>;
  /** For a log that outgrows memory. */
  openLogFile(): Promise<FileHandle>;
  /** The files that were taken of its result, if there are any to be handed over. */
  takenFiles(): TakenFiles | undefined;
  /**
   * A part of their stream, once its end is told; empty at its end. Rejects with the system's
   * error.
   */
  readFiles(start: number, limit: number): Promise<Uint8Array>;
  /** Puts a part of it elsewhere; see `putPart`. */
  putFiles(part: OutputUpload.PartToPut): Promise<OutputUpload.PutAnswer>;
  /**
   * The job has ended and its log is complete; its end is told when this has resolved. Never
   * rejects.
   */
  keep(ending: Ending): Promise<void>;
  /** The scheduler, or its client, wants it to stop. */
  cancelled(): void;
  /** There is no reference to the job (any more). */
  released(): void;
  /** The scheduler has log and end on disk. */
  settled(): void;
}
