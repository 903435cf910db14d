/**
 * A vat's open door: a listening socket that hands on connections once it is known who is at the
 * other end.
 *
 * Life of a connection here: accepted → handshaking (TLS only, handshakes.ts) → handed on, and no
 * longer this file's business. Whoever has the address can reach "handshaking" without any secret,
 * so that state is bounded in time and number.
 */
import { existsSync, lstatSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { RpcError } from "../errors.js";
import { type Address, formatAddress, formatHostPort } from "./address.js";
import { type AdmissionLimits, admissionLimits } from "./admission-limits.js";
import { KEEPALIVE_IDLE_MS } from "./dial.js";
import { Handshakes } from "./handshakes.js";
import type { Identity } from "./identity.js";
import { acceptTls } from "./tls.js";

/** Where a vat's log lines go. They never contain secrets. */
export type VatLog = (level: "debug" | "info" | "warning", message: string) => void;

/** Where and how a vat can be reached. A sturdy ref's address is made from it. */
export interface Endpoint {
  readonly address: Address;
  readonly tls: boolean;
}

/** Asks for all that the system allows: it cuts this to net.core.somaxconn. */
const BACKLOG = 65535;

export interface ListenOptions {
  /** The key for TLS; undefined: no TLS. */
  readonly identity: Identity | undefined;
  /** Takes a connection; with TLS, of a peer that holds the key with this digest. */
  onConnection(socket: Socket, description: string, fingerprint: Uint8Array | undefined): void;
  readonly log: VatLog;
  readonly limits?: Partial<AdmissionLimits> | undefined;
}

export class Listener implements Endpoint {
  /** With the real port, if port 0 was asked for. */
  readonly address: Address;
  readonly tls: boolean;
  readonly #server: Server;
  readonly #options: ListenOptions;
  readonly #handshakes: Handshakes;

  private constructor(server: Server, address: Address, options: ListenOptions) {
    this.#server = server;
    this.#options = options;
    this.#handshakes = new Handshakes(admissionLimits(options.limits));
    this.address = address;
    this.tls = options.identity !== undefined;
    server.on("connection", (socket) => this.#onConnection(socket));
    // Such as running out of file descriptors: bad for the one who could not be accepted, but for
    // nobody else.
    server.on("error", (error) => options.log("warning", `Cannot accept: ${error.message}`));
  }

  /**
   * Starts to listen. The socket file of a process that is gone is replaced. Rejects with a
   * "failed" `RpcError` that names the address, for instance if it is in use.
   */
  static async listen(address: Address, options: ListenOptions): Promise<Listener> {
    if (address.kind === "unix") await removeStaleSocket(address.path);
    const server = createServer({
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEPALIVE_IDLE_MS,
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(listenError(address, error)));
      server.listen(
        address.kind === "unix"
          ? { path: address.path, backlog: BACKLOG }
          : { host: address.host, port: address.port, backlog: BACKLOG },
        resolve,
      );
    });
    server.removeAllListeners("error");
    const bound = server.address();
    const port = typeof bound === "object" && bound ? bound.port : 0;
    return new Listener(server, address.kind === "unix" ? address : { ...address, port }, options);
  }

  /** Connections that have not shown their key yet. */
  get handshaking(): number {
    return this.#handshakes.count;
  }

  /**
   * Stops accepting, and drops who is still in handshake; connections handed on live on.
   * Idempotent.
   */
  close(): void {
    // (Its callback would wait for the end of every connection, and those belong to others now.)
    if (this.#server.listening) this.#server.close();
    this.#handshakes.close();
  }

  #onConnection(socket: Socket): void {
    const description = describePeer(socket, this.address);
    const { identity, onConnection, log } = this.#options;
    log("debug", `Accepting new connection from ${description}`);
    if (!identity) {
      onConnection(socket, description, undefined);
      return;
    }
    const rejected = (reason: string) =>
      log("info", `Rejecting new connection from ${description}: ${reason}`);
    let isDropped = false;
    this.#handshakes.enter({
      socket,
      async run() {
        try {
          const secured = await acceptTls(socket, identity);
          onConnection(secured.socket, description, secured.fingerprint);
        } catch (error) {
          if (!isDropped) rejected(RpcError.from(error).message);
        }
      },
      dropped(reason) {
        isDropped = true;
        rejected(reason);
      },
    });
  }
}

/** A peer as text: the address it came from, or the unix socket it came in by. */
function describePeer(socket: Socket, listening: Address): string {
  if (listening.kind === "unix") return formatAddress(listening);
  const host = socket.remoteAddress?.replace(/^::ffff:/, "") ?? "?";
  return `tcp:${formatHostPort({ host, port: socket.remotePort ?? 0 })}`;
}

/**
 * A unix socket's file outlives a killed process and would be "in use" for ever. Nobody answers at
 * it then.
 */
async function removeStaleSocket(path: string): Promise<void> {
  if (!isSocket(path)) return;
  const stale = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
  if (stale) unlinkSync(path);
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

function listenError(address: Address, error: NodeJS.ErrnoException): RpcError {
  const reason = listenProblem(error, address.kind === "unix" ? address.path : undefined);
  return new RpcError("failed", `Cannot listen on ${formatAddress(address)}: ${reason}`, {
    cause: error,
  });
}

/** What to tell a user about an error of `listen`; `path` is that of a unix socket. */
export function listenProblem({ code, message }: NodeJS.ErrnoException, path?: string): string {
  switch (code) {
    case "EADDRINUSE":
      if (path !== undefined && !isSocket(path)) return "there is a file that is no socket";
      return "another process listens there already";
    case "EADDRNOTAVAIL":
      return "this machine does not have that address";
    case "EACCES":
      if (path === undefined) return "permission denied; ports below 1024 are for root";
      // Node says the same of a directory that is not there.
      return existsSync(dirname(path))
        ? "permission denied"
        : `there is no directory "${dirname(path)}"`;
    case "ENOTFOUND":
      return "unknown host name";
    default:
      return message;
  }
}
