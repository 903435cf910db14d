/*
 * What goes to a step's standard input.
 */

import type { Writable } from "node:stream";

/** Lets `input` write to the program, and ends the stream; resolves with what went wrong. */
export async function send(
  input: (stdin: Writable) => Promise<void>,
  stdin: Writable,
): Promise<unknown | undefined> {
  const failed = new Promise<unknown>((resolve) => stdin.once("error", resolve));
  const written = input(stdin)
    .then(
      () => undefined,
      (error: unknown) => error,
    )
    .finally(() => stdin.end()); // If that is too early the program sees that the rest is missing.
  return await Promise.race([written, failed]);
}

/** Whether the program has ended before it read everything. Its status says why. */
export function isBrokenPipe(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "EPIPE" || code === "ECONNRESET" || code === "ERR_STREAM_DESTROYED";
}
