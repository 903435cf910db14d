/**
 * Options of the submit commands for durable jobs, which belong to the scheduler and not to their
 * client's connection.
 */
import type { DurableSubmission } from "../api/index.js";
import {
  duration,
  integer,
  list,
  nonEmpty,
  option,
  type Parser,
  seldom,
  ValueError,
} from "../cli/index.js";
import { UsageError } from "../console/index.js";
import { jobNumber } from "./job-commands.js";
import { type OutputCommand, outputOrder } from "./output-options.js";

/** What the wire has room for. */
export const count = integer({ min: 0, max: 2 ** 32 - 1 });

export const countOrInfinite: Parser<number> = (text) => {
  if (text === "infinite") return Infinity;
  try {
    return count(text);
  } catch (cause) {
    throw new ValueError(`invalid value '${text}', expected a whole number or infinite`, { cause });
  }
};

/** In the order of the help. They say nothing without `--detach` or `--durable`. */
export const DURABLE_OPTIONS = {
  name: seldom(option("--name <NAME>", "Of a durable job: what to call it.", nonEmpty)),
  key: seldom(
    option("--key <KEY>", "The same key again is the same job: it is submitted once.", nonEmpty),
  ),
  retries: seldom(option("--retries <N>", "Attempts after a failed one (default: 0).", count)),
  lostRetries: seldom(
    option(
      "--lost-retries <N>",
      "Attempts after one that was lost with its worker, or infinite (default: 5).",
      countOrInfinite,
    ),
  ),
  retryDelay: seldom(
    option("--retry-delay <TIME>", "Pause after a failed attempt (default: none).", duration),
  ),
  timeout: seldom(
    option("--timeout <TIME>", "How long an attempt may run (default: any time).", duration),
  ),
  after: seldom(
    option(
      "--after <JOBS>",
      "Start when these have succeeded.",
      list(jobNumber, "numbers of jobs, separated by commas"),
    ),
  ),
} as const;

export interface DurableCommand extends Partial<DurableSubmission.DurableOptions> {
  readonly detach: boolean;
  readonly durable: boolean;
  readonly logFile?: string | undefined;
}

/**
 * How the job is to be treated; undefined for one that is attached to its client, as ever. Throws a
 * `UsageError` for options that make no sense together.
 */
export function durableOptions(
  options: DurableCommand & OutputCommand,
): Partial<DurableSubmission.DurableOptions> | undefined {
  const { after, detach, durable, key, lostRetries, name, retries, retryDelay, timeout } = options;
  if (detach && durable) {
    throw new UsageError("--detach and --durable exclude each other: only --durable waits.");
  }
  if (detach && options.logFile !== undefined) {
    throw new UsageError(
      "With --detach there is no log to put into --log-file: `ocluster-client logs` prints it later.",
    );
  }
  const asked = { name, key, retries, lostRetries, retryDelay, timeout, after };
  const given = Object.entries(asked).filter(([, value]) => value !== undefined);
  const outputs = outputOrder(options);
  // Files are kept of durable jobs alone, so that who wants some has said enough.
  if (detach || durable || outputs) return { ...Object.fromEntries(given), outputs };
  const [first] = given;
  if (first) {
    const flag = DURABLE_OPTIONS[first[0] as keyof typeof DURABLE_OPTIONS].long;
    throw new UsageError(`${flag} is for durable jobs: give --detach or --durable, too.`);
  }
  return undefined;
}
