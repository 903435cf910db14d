/**
 * Getting a socket to a vat: name lookup, TCP or unix connection, TLS with the expected key; all
 * under one signal.
 */
import { connect, type Socket } from "node:net";
import { RpcError } from "../errors.js";
import { type Address, formatAddress } from "./address.js";
import type { Identity } from "./identity.js";
import { dialTls } from "./tls.js";

/**
 * A silent TCP connection is probed by the system after this long, so that a peer that vanished is
 * noticed at all.
 */
export const KEEPALIVE_IDLE_MS = 60_000;

/**
 * Connects. Without `auth` the connection is plain. Rejects with an `RpcError`: "disconnected" if
 * the peer cannot be reached or hangs up (worth trying again), "failed" if it is not the one that
 * was asked for, and the signal's reason if that fires first.
 */
export async function dial(
  address: Address,
  auth: { readonly identity: Identity; readonly fingerprint: Uint8Array } | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const description = formatAddress(address);
  const socket = connect(
    address.kind === "unix"
      ? { path: address.path }
      : {
          host: address.host,
          port: address.port,
          noDelay: true, // messages are written whole; holding them back only delays answers
          keepAlive: true,
          keepAliveInitialDelay: KEEPALIVE_IDLE_MS,
        },
  );
  const abort = () => socket.destroy();
  signal.addEventListener("abort", abort, { once: true });
  try {
    if (signal.aborted) throw signal.reason;
    await connected(socket, description);
    if (!auth) return socket;
    return (await dialTls(socket, auth.identity, auth.fingerprint, description)).socket;
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function connected(socket: Socket, description: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error?: Error) =>
      reject(
        new RpcError("disconnected", `Cannot connect to ${description}: ${reason(error)}`, {
          cause: error,
          code: "unreachable",
        }),
      );
    const onClose = () => fail();
    socket.once("error", fail);
    socket.once("close", onClose);
    socket.once("connect", () => {
      socket.off("error", fail);
      socket.off("close", onClose);
      resolve();
    });
  });
}

/**
 * What to tell a user about an error of `connect`; a name with several addresses gives one error
 * for each.
 */
function reason(error: Error | undefined): string {
  if (error instanceof AggregateError) return error.errors.map(reason).join("; ");
  switch ((error as NodeJS.ErrnoException | undefined)?.code) {
    case "ECONNREFUSED":
      return "connection refused; nothing listens there";
    case "ENOENT":
      return "there is no such socket";
    case "ENOTFOUND":
      return "unknown host name";
    case "EAI_AGAIN":
      return "the host name cannot be looked up at present";
    default:
      return error?.message ?? "the connection was closed";
  }
}
