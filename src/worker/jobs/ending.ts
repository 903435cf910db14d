/**
 * How a job of this worker ended, and how that is told: to the client in the log and as the result,
 * which are the reference's words; to a scheduler with durable jobs as a cause; to the worker's
 * operator in metrics.
 */
import type { JobRecords } from "../../api/index.js";
import { isOutOfSpace, NoSpaceError } from "../../obuilder/index.js";
import { RpcError } from "../../rpc/index.js";
import { JobCancelled, JobEvicted, JobFailed, JobTimedOut } from "../failure.js";
import { exceptionText } from "../log/notes.js";
import type { TakenFiles } from "../outputs/output-capture.js";

/** A worker can say nothing of an attempt that was lost, or that it has crashed with. */
export type EndCause = Exclude<JobRecords.Cause, "lost" | "crashed">;

export const END_CAUSES = [
  "succeeded",
  "failed",
  "timeout",
  "no space",
  "evicted",
  "cancelled",
] as const satisfies readonly EndCause[];

export interface Ending {
  readonly cause: EndCause;
  /** Of a job that has succeeded, else "". */
  readonly output: string;
  /** Why it has not succeeded, for people; else "". */
  readonly reason: string;
  /**
   * What went wrong, as an exception, if no build has failed: it could not be one, or the worker is
   * at fault. Else null.
   */
  readonly exception: string | null;
  /** The files that it hands over. */
  readonly files?: TakenFiles | undefined;
}

/** How jobs end, as the metrics count them. "error": neither well nor by a build that failed. */
export type JobEnd = "ok" | "fail" | "cancelled" | "error";

export function success(output: string): Ending {
  return { cause: "succeeded", output, reason: "", exception: null };
}

/** The end by something that was thrown. */
export function endingBy(error: unknown): Ending {
  const isExpected =
    error instanceof JobFailed || error instanceof JobCancelled || error instanceof JobEvicted;
  const reason = error instanceof Error ? error.message : String(error);
  const exception = isExpected ? null : exceptionText(error);
  return { cause: causeOf(error), output: "", reason, exception };
}

function causeOf(error: unknown): EndCause {
  if (error instanceof JobCancelled) return "cancelled";
  if (error instanceof JobEvicted) return "evicted";
  if (error instanceof JobTimedOut) return "timeout";
  return lacksSpace(error) ? "no space" : "failed";
}

/**
 * Whether the worker's own disks are to blame. What is thrown may be told in other words than what
 * it was caused by.
 */
function lacksSpace(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error instanceof NoSpaceError || isOutOfSpace(error) || lacksSpace(error.cause);
}

/** What stands at the end of the log. */
export function lastLine({ cause, exception, reason }: Ending): string {
  if (cause === "succeeded") return "Job succeeded";
  return exception === null ? reason : `Uncaught exception: ${exception}`;
}

/** What `Job.result` gives, or throws. */
export function resultOf({ cause, exception, output }: Ending): string {
  if (cause === "succeeded") return output;
  if (cause === "cancelled") throw new RpcError("failed", "Build cancelled");
  if (cause === "evicted") throw new RpcError("failed", "The worker has given the job back");
  throw new RpcError("failed", exception === null ? "Build failed" : "Internal error");
}

export function countedAs({ cause, exception }: Ending): JobEnd {
  if (cause === "succeeded") return "ok";
  if (cause === "cancelled" || cause === "evicted") return "cancelled";
  return exception === null ? "fail" : "error";
}
