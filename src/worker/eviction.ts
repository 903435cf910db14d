/**
 * Notices that the machine is about to be taken away, as clouds give them for spot instances: a
 * command of the operator's is run again and again, and succeeds when there is one. How the large
 * clouds tell it is in docs/scaling.md.
 */
import { sleep, unlessAborted } from "../async/index.js";
import { logger } from "../console/index.js";
import { ProgramError, run } from "../system/index.js";

const log = logger("worker");

export interface EvictionCheck {
  /** For `sh`. It succeeds when there is a notice, and may print how many seconds are left. */
  readonly command: string;
  /** ms between two looks; by default as often as clouds ask to look. */
  readonly everyMs?: number;
  /** ms that one may take. */
  readonly timeoutMs?: number;
}

const EVERY_MS = 5000;
const TIMEOUT_MS = 10_000;

/** Bytes that one may print: there is one number in it. */
const MAX_OUTPUT = 64 * 1024;

/**
 * Resolves when there is a notice, with the ms that are left; undefined if the command does not
 * say. A command that cannot be run, or does not end, is no notice: that is logged, once. Throws
 * `signal`'s reason when it is aborted first.
 */
export async function evictionNotice(
  { command, everyMs = EVERY_MS, timeoutMs = TIMEOUT_MS }: EvictionCheck,
  signal: AbortSignal,
): Promise<number | undefined> {
  let hasComplained = false;
  for (;;) {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      const options = { signal: deadline, asGroup: true, maxOutput: MAX_OUTPUT };
      // What has left its group may hold its output open when that is killed.
      const told = await unlessAborted(run(["sh", "-c", command], options), deadline);
      return millisecondsLeft(told);
    } catch (error) {
      signal.throwIfAborted();
      const isNo = error instanceof ProgramError && !UNUSABLE.includes(error.status);
      if (!isNo && !hasComplained) {
        hasComplained = true;
        const why = deadline.aborted ? `no answer within ${timeoutMs / 1000} s` : error;
        log.warn(`--eviction-check does not work, and is tried on: ${why}`);
      }
    }
    await sleep(everyMs, signal);
  }
}

/** How a shell ends that cannot find or run a command, and a command that was killed. */
const UNUSABLE: readonly (number | undefined)[] = [126, 127, undefined];

/** From the first word, a number of seconds: `118`. */
function millisecondsLeft(output: string): number | undefined {
  const [, seconds] = /^\s*(\d{1,9}(?:\.\d+)?)(?:\s|$)/.exec(output) ?? [];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
