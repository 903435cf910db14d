/**
 * A short-lived program's session with the scheduler: from a capability file to a service that can
 * be used, with words for whatever is wrong with the file or the way there.
 */

import { CommandFailed, describeOnSignal, logger, stderrTerminal } from "../console/index.js";
import {
  type Capability,
  type Connection,
  type ErrorCode,
  formatAddress,
  type LivenessOptions,
  RpcError,
  readCapFile,
  type SturdyRef,
  Vat,
  watchLiveness,
} from "../rpc/index.js";

export interface SessionOptions {
  /** Say nothing about the connection. */
  readonly quiet?: boolean;
  /** Calls the attempt to connect off; `withService` rejects with its reason then. */
  readonly signal?: AbortSignal;
  /** What is in the file, if it was read already. */
  readonly ref?: SturdyRef;
}

/**
 * A frozen scheduler must not leave its clients waiting for ever. A busy one answers within
 * seconds.
 */
const LIVENESS: LivenessOptions = { intervalMs: 30_000, timeoutMs: 30_000 };

/**
 * Connects to the service in `capFile`, runs `use` with it and hangs up. The service is known to
 * exist; it belongs to the session. Throws `CapFileError`, `CommandFailed` if there is no way to
 * the service, and what `use` throws.
 */
export async function withService<T>(
  capFile: string,
  use: (service: Capability, connection: Connection) => Promise<T>,
  { quiet = false, signal, ref = readCapFile(capFile) }: SessionOptions = {},
): Promise<T> {
  const log = logger("capnp-rpc");
  const vat = new Vat({
    log: (level, message) => log[level === "warning" ? "warn" : level](message),
  });
  using _ = describeOnSignal(() => vat.dump());
  const hangUp = () => void vat.close(INTERRUPTED);
  try {
    signal?.throwIfAborted();
    signal?.addEventListener("abort", hangUp, { once: true });
    const { connection, service } = await open(vat, ref, quiet).catch((error) => {
      signal?.throwIfAborted();
      throw error instanceof RpcError ? unusable(capFile, error) : error;
    });
    signal?.removeEventListener("abort", hangUp);
    try {
      return await use(service, connection);
    } finally {
      service.release();
    }
  } finally {
    await vat.close();
  }
}

/**
 * `error` in words. When it says that the capability in `capFile` is for something else, such as a
 * client's where an administrator's is needed, they include which file to use instead: `needed`.
 */
export function describeRefusal(error: RpcError, capFile: string, needed: string): string {
  if (error.code !== "wrong-interface") return String(error);
  return `${error}\nThe capability file "${capFile}" is for something else; use ${needed}.`;
}

/**
 * The service, known to exist, and the connection to its vat, which is watched from now on. Rejects
 * with an `RpcError`.
 */
async function open(vat: Vat, ref: SturdyRef, quiet: boolean) {
  if (!quiet) stderrTerminal.announce(`Connecting to ${formatAddress(ref.address)}`);
  const conclude = (outcome: string) => {
    if (!quiet) stderrTerminal.conclude(outcome);
  };
  const connection = await vat.connect(ref).catch((error) => {
    conclude("ERROR");
    throw error;
  });
  conclude("OK");
  watchLiveness(connection, LIVENESS);
  const service = connection.bootstrap(ref.id);
  const timer = setTimeout(() => connection.close(UNANSWERED), LIVENESS.timeoutMs);
  try {
    await service.whenResolved();
    return { connection, service };
  } catch (error) {
    service.release();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function unusable(capFile: string, error: RpcError): CommandFailed {
  const advice = error.code && ADVICE[error.code];
  return new CommandFailed(
    `Cannot use capability file "${capFile}": ${error}${advice ? `\n${advice}` : ""}`,
    { cause: error },
  );
}

/** The next step of somebody whose capability is of no use (any more). */
export const GET_ANOTHER =
  "Ask the scheduler's operator for a new file: `ocluster-admin add-client NAME` prints a client's.";

const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  "unknown-service": `The scheduler does not know the secret in it: the client was removed, or the scheduler's state was.\n${GET_ANOTHER}`,
  "wrong-key": `The scheduler at that address is not the one that the file was made for, or its key was replaced.\n${GET_ANOTHER}`,
  unreachable:
    "Is the scheduler running at that address, and does no firewall keep its port closed?",
};

const INTERRUPTED = new RpcError("disconnected", "The program was interrupted");
const UNANSWERED = new RpcError("disconnected", "The scheduler does not answer");
