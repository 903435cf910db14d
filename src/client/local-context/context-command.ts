/** `--context DIR` of the commands that submit a job. */
import type { Source } from "../../api/index.js";
import { interruptible } from "../../console/index.js";
import { type SendContextOptions, sendContext } from "./send-context.js";

/**
 * Sends the directory until the process is told to end. Rejects with `CommandFailed` and
 * `Interrupted`.
 */
export function sendContextOf(options: SendContextOptions): Promise<Source> {
  return interruptible((signal) => sendContext({ ...options, signal }));
}
