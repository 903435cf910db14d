/**
 * Finding peers that stopped answering though their connection lives: a frozen process, a dead
 * machine behind a proxy, a deadlocked event loop. TCP's own keepalive is answered by the peer's
 * kernel and does not notice.
 */
import { deferred, timeout } from "../../async/index.js";
import type { Connection } from "../connection/connection.js";
import { RpcError } from "../errors.js";

export interface LivenessOptions {
  /** Pause between an answer and the next probe, in ms. */
  readonly intervalMs: number;
  /** How long a peer may take to answer, in ms, before its connection is given up. */
  readonly timeoutMs: number;
}

/**
 * The service that a probe asks for. Any level of the protocol and any age of peer answers
 * `Bootstrap`: OCaml and C++ vats say that they have no such service, or no services at all, and
 * nothing stays behind on either side. (Asking for the default service instead could make a peer do
 * something.)
 */
const PROBE_ID = Buffer.from("liveness probe");

/**
 * Whether the peer answers within `timeoutMs`. False at once if the connection has ended. Never
 * rejects.
 */
export async function answers(connection: Connection, timeoutMs: number): Promise<boolean> {
  using service = connection.bootstrap(PROBE_ID);
  const late = deferred<boolean>();
  const stopTimer = timeout(timeoutMs, () => late.resolve(false));
  const answered = service.whenResolved().then(
    () => true,
    () => connection.error === undefined,
  );
  try {
    return await Promise.race([answered, late.promise]);
  } finally {
    stopTimer();
  }
}

/**
 * Probes the peer until the connection ends or the returned function is called. A peer that is too
 * late has its connection closed with a "disconnected" `RpcError` that calls it what `describe`
 * says. Does not keep the process alive.
 */
export function watchLiveness(
  connection: Connection,
  options: LivenessOptions,
  describe = () => "The peer",
): () => void {
  const { intervalMs, timeoutMs } = options;
  let timer: NodeJS.Timeout;
  let watching = true;
  const stop = () => {
    watching = false;
    clearTimeout(timer);
  };
  const wait = () => {
    timer = setTimeout(probe, intervalMs).unref();
  };
  const probe = async () => {
    const alive = await answers(connection, timeoutMs);
    if (!watching) return;
    if (alive) {
      wait();
    } else {
      const reason = `${describe()} has not answered for ${timeoutMs / 1000} s`;
      connection.close(new RpcError("disconnected", reason));
    }
  };
  connection.onDisconnect(stop);
  wait();
  return stop;
}
