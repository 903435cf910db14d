/**
 * Options of a client's commands for which there may be a value without them: in the environment,
 * or in the context that is in use.
 */
import { completedBy, connectOption, nonEmpty, option, withFallback } from "../cli/index.js";
import { usualCap, usualPool } from "../client/contexts.js";

/** `--connect`, for which there may be a file without it. */
export function usualConnect() {
  return withFallback(connectOption("submission.cap"), {
    text: usualCap,
    advice: "set OCLUSTER_CAP, or see `ocluster-client context`",
  });
}

export function usualPoolOption() {
  const pool = option("--pool <ID>", "The pool to use, if there are several.", nonEmpty);
  const listed = completedBy(pool, "ocluster-client pools --names --quiet");
  return withFallback(listed, {
    text: (isGiven) => usualPool(isGiven("--connect")),
    advice: "set OCLUSTER_POOL",
  });
}

/** Whose commands about jobs and batches. */
export const OWNER = {
  program: "ocluster-client",
  capFile: "submission.cap",
  connect: usualConnect,
};
