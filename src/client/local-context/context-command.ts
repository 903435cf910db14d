/** `--context DIR` of the commands that submit a job. */
import type { Source } from "../../api/index.js";
import { interruptible } from "../../console/index.js";
import { printRefusal } from "../failure.js";
import { type SendContextOptions, sendContext } from "./send-context.js";

/**
 * Sends the directory until the process is told to end; says of a refusal why, for programs, if so
 * wished. Rejects with `CommandFailed` and `Interrupted`.
 */
export async function sendContextOf(options: SendContextOptions, json: boolean): Promise<Source> {
  try {
    return await interruptible((signal) => sendContext({ ...options, signal }));
  } catch (error) {
    if (json) printRefusal(error);
    throw error;
  }
}
