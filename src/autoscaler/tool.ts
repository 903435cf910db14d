/**
 * Programs that drivers run: each has to end in time, and its failure is told in its own words.
 */
import { unlessAborted } from "../async/index.js";
import { ProgramError, type RunOptions, run } from "../system/index.js";
import { DriverError } from "./driver.js";

/** How long a program may take, in ms; those of a batch system wait for its controller. */
const TIMEOUT_MS = 30_000;

/** Bytes that one may print: lines of some 150 bytes for as many instances as there may be. */
const MAX_OUTPUT = 4 * 1024 ** 2;

/** Of what a failing program has said, in characters. */
const MAX_COMPLAINT = 500;

/** Runs a program and resolves with what it has printed. Rejects with a `DriverError`. */
export async function runTool(
  argv: readonly string[],
  {
    signal,
    timeoutMs = TIMEOUT_MS,
    ...options
  }: Omit<RunOptions, "signal"> & {
    readonly signal: AbortSignal;
    readonly timeoutMs?: number;
  },
): Promise<string> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  try {
    const bounds = { asGroup: true, maxOutput: MAX_OUTPUT, ...options, signal: deadline };
    // What is not killed with it may hold its output open.
    return await unlessAborted(run(argv, bounds), deadline);
  } catch (error) {
    signal.throwIfAborted();
    if (deadline.aborted) {
      throw new DriverError(`${argv[0]} has not ended within ${timeoutMs / 1000} s`, {
        cause: error,
      });
    }
    if (!(error instanceof ProgramError)) throw error;
    throw new DriverError(complaint(argv[0]!, error), { cause: error });
  }
}

function complaint(program: string, { message, status, stderr }: ProgramError): string {
  if (status === undefined && stderr === "") return message;
  const said = stderr.replaceAll(/\s*\n\s*/g, "; ").slice(0, MAX_COMPLAINT);
  return `${program} failed with ${status === undefined ? "a signal" : `exit status ${status}`}${said && `: ${said}`}`;
}
