/**
 * Sessions of commands that look at jobs on record: one connection, or as many as it takes.
 */
import { Backoff, type BackoffRange, sleep } from "../../async/index.js";
import { CommandFailed, stderrTerminal } from "../../console/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import { visible } from "../../text/index.js";
import { type SessionOptions, withService } from "../session.js";

/** Whose jobs, and how: what all of these commands are told. */
export interface RecordsOptions {
  /** The path of the capability file. */
  readonly connect: string;
  readonly quiet: boolean;
}

export interface SteadyOptions extends SessionOptions {
  /** The scheduler was there a moment ago: nobody need be told that it is connected to. */
  readonly isKnown?: boolean;
}

/** People who watch a job want to know soon. */
const EAGER: BackoffRange = { minMs: 1000, maxMs: 15_000 };

/**
 * `withService`, with words for a scheduler that keeps no records. Rejects with `CommandFailed`.
 */
export async function withRecords<T>(
  { connect, quiet }: RecordsOptions,
  use: (records: Capability) => Promise<T>,
  { signal }: SessionOptions = {},
): Promise<T> {
  return await withService(connect, use, {
    quiet: quiet || !isWatched(),
    ...(signal && { signal }),
  }).catch((error) => {
    throw inWords(error, connect);
  });
}

/**
 * The same, for something that takes long: when the scheduler goes away, waits for it and runs
 * `use` once more, which must go on where it was. The first connection must succeed, so that a
 * wrong file is not tried for ever.
 */
export async function steadily<T>(
  { connect, quiet }: RecordsOptions,
  use: (records: Capability) => Promise<T>,
  { isKnown = false, signal }: SteadyOptions = {},
): Promise<T> {
  const backoff = new Backoff(undefined, undefined, EAGER);
  let wasThere = false;
  let isAway = false;
  const say = (line: string) => {
    if (!quiet) stderrTerminal.line(line);
  };
  const attempt = (): Promise<T> => {
    const options = {
      quiet: quiet || isKnown || wasThere || !isWatched(),
      ...(signal && { signal }),
    };
    return withService(
      connect,
      (records) => {
        if (isAway) say("The scheduler is back.");
        wasThere = true;
        isAway = false;
        backoff.succeeded();
        return use(records);
      },
      options,
    );
  };
  for (;;) {
    backoff.attempt();
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      const loss = lossIn(error);
      if (!wasThere || loss === null) throw inWords(error, connect);
      if (!isAway) say(`Lost the scheduler (${visible(String(loss))}): waiting for it.`);
      isAway = true;
      await sleep(backoff.failed(), signal);
    }
  }
}

/**
 * Whether somebody sees how it connects. The reference's commands say so in any case, as they
 * always did.
 */
function isWatched(): boolean {
  return process.stderr.isTTY === true;
}

/**
 * What the scheduler went away with, or cannot be reached for; null if it is there, and said no.
 */
function lossIn(error: unknown): RpcError | null {
  const cause = error instanceof CommandFailed ? error.cause : error;
  if (!(cause instanceof RpcError)) return null;
  return cause.kind === "disconnected" || cause.kind === "overloaded" ? cause : null;
}

function inWords(error: unknown, capFile: string): unknown {
  if (!(error instanceof RpcError)) return error;
  return new CommandFailed(words(error, capFile), { cause: error });
}

function words(error: RpcError, capFile: string): string {
  if (error.kind === "unimplemented") return withoutRecords(capFile);
  if (error.kind === "disconnected") return `Lost connection to the scheduler: ${error}`;
  return String(error);
}

/**
 * A scheduler of the reference, or an older one of ours; or a pool's file. They cannot be told
 * apart.
 */
function withoutRecords(capFile: string): string {
  return (
    "This scheduler knows neither durable jobs nor records of jobs " +
    `(or "${capFile}" is neither a client's capability nor an administrator's).\n` +
    "Jobs that are submitted without --detach and --durable run here, for as long as their client is connected."
  );
}
