/**
 * A vat: one identity, the services it offers, and its conversations with other vats.
 *
 * There is one connection per peer key. Who asks for a service of a vat that it already talks to,
 * in whichever direction, shares that connection; who asks while the connection is being made waits
 * for the same attempt. The states of a peer, known by the digest of its key:
 *
 *     unknown → dialling → connected → unknown       we asked for a service of it
 *     unknown → connected → unknown                  it dialled us
 *
 * Two vats that dial each other at once end up with two connections, and both must drop the same
 * one: the one dialled by the vat with the greater digest stays (capnp-rpc's `Vat.run_connection`).
 * If the same peer dials twice, then it has lost the first connection, though we may not know that
 * yet, and the second stays.
 *
 * Plain ("insecure") peers have no key. Connections that they dialled are all separate; those that
 * we dialled are shared by address.
 */
import type { Socket } from "node:net";
import { Connection, type ConnectionOptions } from "../connection/connection.js";
import { RpcError } from "../errors.js";
import type { Capability } from "../types.js";
import { type Address, formatAddress } from "./address.js";
import { type AdmissionLimits, admissionLimits } from "./admission-limits.js";
import { dial } from "./dial.js";
import { Identity } from "./identity.js";
import { type Endpoint, Listener, type VatLog } from "./listener.js";
import { originOf } from "./origin.js";
import { SturdyRef } from "./sturdy-ref.js";
import { SocketTransport } from "./transport-socket.js";
import { Visitors } from "./visitors.js";

export interface VatOptions {
  /** Who this vat is. Default: a key of its own for as long as it lives, made when first needed. */
  readonly identity?: Identity;
  /**
   * The service with this id (raw bytes; empty: the default service), asked for over `connection`
   * (undefined: by this vat itself). The result is given away to the caller. Throws an `RpcError`
   * for an id it does not know. Compare hashes of ids, not ids: how long it takes must tell nothing
   * of them. Default: no services.
   */
  restore?(id: Uint8Array, connection: Connection | undefined): Capability;
  readonly limits?: ConnectionOptions["limits"];
  /** What those who connect to this vat may cost it. */
  readonly admissionLimits?: Partial<AdmissionLimits>;
  readonly metrics?: ConnectionOptions["metrics"];
  readonly log?: VatLog;
}

export interface ConnectOptions {
  /**
   * How long it may take until the peer has been reached and has proved who it is, which it may be
   * busy for. Default: 60 s.
   */
  readonly timeoutMs?: number;
  /**
   * Told what is being done, for people who wait. A connection that exists already is "connected"
   * at once.
   */
  onProgress?(stage: ConnectStage, address: Address): void;
}

export type ConnectStage = "connecting" | "connected";

const CONNECT_TIMEOUT_MS = 60_000;

/** A conversation with a vat whose key is known. */
interface Peer {
  readonly connection: Connection;
  readonly dialledByUs: boolean;
}

export class Vat {
  readonly #options: VatOptions;
  readonly #admissionLimits: AdmissionLimits;
  #identity: Identity | undefined;
  /** All connections, each with the end of its socket. */
  readonly #connections = new Map<Connection, Promise<void>>();
  /** Those of them that peers have made. */
  readonly #visitors: Visitors;
  /** Connections by `keyOf` the peer they are with. */
  readonly #peers = new Map<string, Peer>();
  /** Attempts to make one, under the same keys. */
  readonly #dialling = new Map<string, Promise<Connection>>();
  readonly #listeners = new Set<Listener>();
  readonly #closing = new AbortController();

  constructor(options: VatOptions = {}) {
    this.#options = options;
    this.#admissionLimits = admissionLimits(options.admissionLimits);
    this.#visitors = new Visitors(this.#admissionLimits);
    this.#identity = options.identity;
  }

  get identity(): Identity {
    this.#identity ??= Identity.ephemeral();
    return this.#identity;
  }

  /** How many conversations there are. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** The state of all conversations, for people: what `Connection.dump` says of each. */
  dump(): string {
    const connections = [...this.#connections.keys()];
    return [`Connections: ${connections.length}`, ...connections.map((one) => one.dump())].join(
      "\n",
    );
  }

  /**
   * Accepts connections at `address` until the listener or the vat is closed. Rejects with a
   * "failed" `RpcError`.
   */
  async listen(address: Address, { tls }: { readonly tls: boolean }): Promise<Listener> {
    const listener = await Listener.listen(address, {
      identity: tls ? this.identity : undefined,
      log: this.#log,
      limits: this.#admissionLimits,
      onConnection: (socket, description, fingerprint) => {
        this.#admit(socket, description, fingerprint && keyOf(fingerprint));
      },
    });
    this.#listeners.add(listener);
    if (this.#closing.signal.aborted) listener.close();
    return listener;
  }

  /**
   * A reference to the service `id` of this vat, to be found at `endpoint`: a listener, or the
   * public address that leads to one.
   */
  sturdyRef(endpoint: Endpoint, id: Uint8Array): SturdyRef {
    const { address, tls } = endpoint;
    return new SturdyRef(address, tls ? this.identity.fingerprint : undefined, id);
  }

  /**
   * The service that `ref` stands for, owned by the caller. Fulfilled as soon as the vat is
   * reached; whether it has such a service shows when the capability is used (or by its
   * `whenResolved`). Rejects with an `RpcError`: "disconnected" if the vat cannot be reached, in
   * time or at all; "failed" if the one that answers is another, or it is this vat's own service
   * and there is none.
   */
  async import(ref: SturdyRef, options: ConnectOptions = {}): Promise<Capability> {
    if (this.#isOwn(ref)) return this.#restore(ref.id, undefined);
    const connection = await this.connect(ref, options);
    return connection.bootstrap(ref.id);
  }

  /**
   * The connection to `ref`'s vat: the one there is, or a new one. It belongs to the vat and is
   * shared; closing it ends the conversation for everybody. Who joins an attempt under way shares
   * its deadline. Rejects like `import`.
   */
  async connect(ref: SturdyRef, options: ConnectOptions = {}): Promise<Connection> {
    const { timeoutMs = CONNECT_TIMEOUT_MS, onProgress } = options;
    if (this.#isOwn(ref)) {
      throw new RpcError("failed", "A vat does not connect to itself; `import` gives its services");
    }
    const key = ref.fingerprint ? keyOf(ref.fingerprint) : formatAddress(ref.address);
    let connection = this.#peers.get(key)?.connection;
    if (!connection || connection.error) {
      onProgress?.("connecting", ref.address);
      let attempt = this.#dialling.get(key);
      if (!attempt) {
        attempt = this.#dial(ref, key, timeoutMs).finally(() => this.#dialling.delete(key));
        this.#dialling.set(key, attempt);
      }
      connection = await attempt;
    }
    onProgress?.("connected", ref.address);
    return connection;
  }

  /**
   * Ends all conversations, telling each peer `reason`, and stops listening. Fulfilled when every
   * socket is closed, which a peer can delay by some seconds at most. What is asked of the vat
   * afterwards fails. Idempotent.
   */
  async close(reason = new RpcError("disconnected", "The vat was shut down")): Promise<void> {
    this.#closing.abort(reason);
    for (const listener of this.#listeners) listener.close();
    for (const connection of this.#connections.keys()) connection.close(reason);
    await Promise.all(this.#connections.values());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #dial({ address, fingerprint }: SturdyRef, key: string, timeoutMs: number) {
    const deadline = new AbortController();
    const timer = setTimeout(() => {
      const place = formatAddress(address);
      deadline.abort(
        new RpcError("disconnected", `${place} did not answer within ${timeoutMs / 1000} s`),
      );
    }, timeoutMs);
    try {
      const signal = AbortSignal.any([this.#closing.signal, deadline.signal]);
      const auth = fingerprint && { identity: this.identity, fingerprint };
      return this.#adopt(await dial(address, auth, signal), formatAddress(address), key, true);
    } catch (error) {
      // It may have dialled us in the meantime, from where we cannot dial it.
      const peer = this.#peers.get(key);
      if (peer && !peer.connection.error) return peer.connection;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A peer has dialled us. Those who only take up room are not kept. */
  #admit(socket: Socket, description: string, key: string | undefined): void {
    const isKnown = key !== undefined && this.#peers.has(key);
    if (!isKnown && !this.#visitors.makeRoom()) {
      const reason = `there are ${this.#admissionLimits.connections} connections, and no more are allowed`;
      this.#log("warning", `Rejecting new connection from ${description}: ${reason}`);
      socket.destroy();
      return;
    }
    // A socket that has ended meanwhile does not know it any more.
    const origin = originOf(socket.remoteAddress);
    const connection = this.#adopt(socket, description, key, false);
    if (!socket.destroyed) this.#visitors.add(connection, socket, origin);
  }

  /**
   * Starts a conversation on `socket`, unless there is a better one with the peer `key`; returns
   * the one that stays. Plain peers that dialled us have no key.
   */
  #adopt(
    socket: Socket,
    description: string,
    key: string | undefined,
    dialledByUs: boolean,
  ): Connection {
    const existing = key === undefined ? undefined : this.#peers.get(key);
    if (key !== undefined && existing && !existing.connection.error) {
      const crossed = existing.dialledByUs !== dialledByUs;
      if (crossed && keyOf(this.identity.fingerprint) > key !== dialledByUs) {
        this.#log("info", `Dropping new connection with ${description}: already connected to it`);
        socket.destroy();
        return existing.connection;
      }
      existing.connection.close(new RpcError("disconnected", "Invalidated by newer connection"));
    }
    const { limits, metrics } = this.#options;
    const connection: Connection = new Connection(new SocketTransport(socket, description), {
      bootstrap: (id) => this.#restore(id, connection),
      limits,
      metrics,
    });
    this.#connections.set(connection, new Promise((resolve) => socket.once("close", resolve)));
    if (key !== undefined) this.#peers.set(key, { connection, dialledByUs });
    void connection.closed.then((error) => {
      this.#log("debug", `Connection with ${description} ended: ${error.message}`);
      if (key !== undefined && this.#peers.get(key)?.connection === connection) {
        this.#peers.delete(key);
      }
    });
    socket.once("close", () => this.#connections.delete(connection));
    if (this.#closing.signal.aborted) connection.close(this.#closing.signal.reason);
    return connection;
  }

  #restore(id: Uint8Array, connection: Connection | undefined): Capability {
    const { restore } = this.#options;
    if (!restore) throw new RpcError("failed", "This vat offers no services");
    return restore(id, connection);
  }

  #isOwn({ fingerprint }: SturdyRef): boolean {
    return fingerprint !== undefined && keyOf(fingerprint) === keyOf(this.identity.fingerprint);
  }

  readonly #log: VatLog = (level, message) => this.#options.log?.(level, message);
}

/** A digest as a key of maps; keys compare like the bytes do. */
function keyOf(fingerprint: Uint8Array): string {
  return Buffer.from(fingerprint).toString("hex");
}
