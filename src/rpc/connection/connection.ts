/**
 * A connection: the protocol's state machines on a transport.
 *
 * Sending: messages collect in one buffer and go out together, once per turn of the event loop.
 * Reading: from a peer that does not read what it is sent, nothing is read either until it does, so
 * that it slows down itself and nobody else. As two such peers would wait for each other forever, a
 * little is read now and then even so; what piles up at last ends the connection.
 *
 * States: open; closing (`error` is set, an Abort is on its way out, nothing is handled any more);
 * closed (the transport is gone). `closed` resolves at the step to closing.
 */

import { enqueueCallback, inSlices } from "../../async/index.js";
import { Handle, takeHook } from "../capability/handle.js";
import { RpcError } from "../errors.js";
import { DEFAULT_LIMITS, type Limits } from "../limits.js";
import type { Capability, Transport } from "../types.js";
import { MessageWriter } from "../wire/encode.js";
import { MessageSplitter } from "../wire/framing.js";
import { FrameReader } from "../wire/reader.js";
import { Incoming } from "./incoming.js";
import { release, tell } from "./loss.js";
import { Protocol, toWire } from "./protocol.js";

/**
 * Counts messages, for instance for Prometheus. Each is told how many there were since the last
 * time.
 */
export interface ConnectionMetrics {
  inboundReceived?(messages: number): void;
  outboundEnqueued?(messages: number): void;
  outboundSent?(messages: number): void;
  /** Never handed to the transport, as the connection ended before. */
  outboundDropped?(messages: number): void;
}

export interface ConnectionOptions {
  /**
   * Gives the service that `id` (raw bytes; empty: the default one) names. The connection takes the
   * capability. To refuse, throw an `RpcError`.
   */
  bootstrap(id: Uint8Array, connection: Connection): Capability;
  readonly limits?: Partial<Limits> | undefined;
  readonly metrics?: ConnectionMetrics | undefined;
}

/** Sizes of a connection's tables. All are zero when both sides have released everything. */
export interface ConnectionStats {
  /** Our calls to the peer that are not finished. */
  readonly questions: number;
  /** The peer's calls to us that it has not finished. */
  readonly answers: number;
  readonly imports: number;
  readonly exports: number;
  readonly embargoes: number;
  /** The peer's calls that are being worked on, finished or not. */
  readonly callsInFlight: number;
  /**
   * References that were garbage collected without having been released: each is a bug of this
   * process.
   */
  readonly leaks: number;
  readonly outboundBytes: number;
}

/** While reading is paused, the peer is given another chance this often. */
const STALL_MS = 1000;

export class Connection {
  /** Resolves once, with the reason, when the connection has ended. */
  readonly closed: Promise<RpcError>;

  private readonly limits: Limits;
  private readonly metrics: ConnectionMetrics;
  private readonly protocol: Protocol;
  private readonly incoming: Incoming;
  private readonly frame: FrameReader;
  private readonly splitter: MessageSplitter;
  private readonly writer: MessageWriter;
  private readonly disconnectListeners = new Set<(error: RpcError) => void>();
  private resolveClosed!: (error: RpcError) => void;
  private flushTimer: NodeJS.Immediate | undefined;
  private stallTimer: NodeJS.Timeout | undefined;
  /** Messages written since the last flush. */
  private unsent = 0;
  private received = 0;
  private wasStranger = true;

  constructor(
    private readonly transport: Transport,
    options: ConnectionOptions,
  ) {
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.metrics = options.metrics ?? {};
    this.closed = new Promise((resolve) => {
      this.resolveClosed = resolve;
    });
    this.writer = new MessageWriter(() => this.scheduleFlush());
    const connection = this;
    this.protocol = new Protocol(
      {
        limits: this.limits,
        get outboundBytes() {
          return connection.outboundBytes;
        },
        abortLater: (error) => enqueueCallback(() => this.close(error)),
      },
      this.writer,
    );
    this.incoming = new Incoming(this.protocol, (id) => takeHook(options.bootstrap(id, this)));
    this.frame = new FrameReader(this.limits);
    this.splitter = new MessageSplitter(
      {
        segments: this.limits.segments,
        get messageBytes() {
          return connection.messageBytes;
        },
      },
      this.onMessage,
    );
    transport.start({
      onData: (chunk) => this.onData(chunk),
      onDrain: () => this.updateReading(),
      onClose: (error) => this.onClose(error),
    });
  }

  /** The peer as text for logs. */
  get description(): string {
    return this.transport.description;
  }

  /** Whether the connection has ended, and why. */
  get error(): RpcError | undefined {
    return this.protocol.error;
  }

  /**
   * The peer's service that `id` names (raw bytes; by default its default service). Usable at once;
   * if there is none, calls on it fail. Owned by the caller.
   */
  bootstrap(id: Uint8Array = NO_ID): Capability {
    return new Handle(this.protocol.bootstrap(id));
  }

  /**
   * Calls `listener` once when the connection ends; soon, if it has. Returns a function that
   * unsubscribes.
   */
  onDisconnect(listener: (error: RpcError) => void): () => void {
    const { error } = this.protocol;
    if (error === undefined) this.disconnectListeners.add(listener);
    else enqueueCallback(() => listener(error));
    return () => this.disconnectListeners.delete(listener);
  }

  /**
   * Ends the connection: tells the peer why, fails every call that waits for it and releases all it
   * holds. Without effect when it has ended. `reason`: by default, that it was closed.
   */
  close(reason: RpcError = CLOSED): void {
    if (this.protocol.error !== undefined) return;
    this.writer.abort(toWire(reason));
    this.end(reason);
    this.flush();
    this.transport.close();
  }

  stats(): ConnectionStats {
    const { protocol } = this;
    return {
      questions: protocol.questions.size,
      answers: protocol.answers.size,
      imports: protocol.imports.size,
      exports: protocol.exports.size,
      embargoes: protocol.embargoes.size,
      callsInFlight: protocol.callsInFlight,
      leaks: protocol.leaks,
      outboundBytes: this.outboundBytes,
    };
  }

  /**
   * Violated invariants of the tables, as text. Each is a bug of this process. Looks at every
   * entry.
   */
  check(): string[] {
    return this.protocol.check();
  }

  /** The state of the connection, line by line, for people. Of large tables, the first entries. */
  dump(): string {
    const head = `Connection with ${this.description}; ${this.outboundBytes} bytes wait to be sent`;
    return [head, ...this.protocol.dump()].join("\n  ");
  }

  private get outboundBytes(): number {
    return this.writer.pendingBytes + this.transport.bufferedBytes;
  }

  /** Whether the peer was given no capability and was asked nothing, ever. */
  get isStranger(): boolean {
    // Looked at before each message, also the one that would give back what the peer was given.
    const { exports, questions } = this.protocol;
    this.wasStranger &&= exports.size === 0 && questions.size === 0;
    return this.wasStranger;
  }

  /** Largest message that the peer may send now. */
  private get messageBytes(): number {
    return this.isStranger
      ? Math.min(this.limits.strangerMessageBytes, this.limits.messageBytes)
      : this.limits.messageBytes;
  }

  private onData(chunk: Uint8Array): void {
    if (this.protocol.error !== undefined) return;
    try {
      this.splitter.push(chunk);
    } catch (error) {
      this.fail(error);
    }
    this.frame.clear();
    if (this.received > 0) {
      this.metrics.inboundReceived?.(this.received);
      this.received = 0;
    }
    this.updateReading();
  }

  private readonly onMessage = (bytes: Uint8Array, view: DataView, start: number): boolean => {
    this.received++;
    this.frame.reset(bytes, view, start);
    const abort = this.incoming.handle(this.frame);
    if (abort !== undefined) {
      this.end(new RpcError(abort.kind, abort.message));
      this.transport.close();
    }
    return this.protocol.error === undefined;
  };

  /** What the peer sent makes no sense, or too much of it. */
  private fail(error: unknown): void {
    this.close(RpcError.from(error));
  }

  private onClose(error: Error | undefined): void {
    this.end(
      new RpcError(
        "disconnected",
        error === undefined ? "the peer closed the connection" : error.message,
        {
          cause: error,
        },
      ),
    );
    this.drop();
  }

  /** The step to closing. */
  private end(error: RpcError): void {
    if (this.protocol.error !== undefined) return;
    this.stopStallTimer();
    const listeners = [...this.disconnectListeners];
    this.disconnectListeners.clear();
    const reason = asDisconnected(error);
    const lost = this.protocol.lose(reason);
    tell(lost, reason);
    inSlices(release(lost));
    for (const listener of listeners) enqueueCallback(() => listener(error));
    this.resolveClosed(error);
  }

  private scheduleFlush(): void {
    this.unsent++;
    this.flushTimer ??= setImmediate(this.flush);
  }

  private readonly flush = (): void => {
    if (this.flushTimer !== undefined) clearImmediate(this.flushTimer);
    this.flushTimer = undefined;
    const messages = this.unsent;
    if (messages === 0) return;
    this.unsent = 0;
    this.metrics.outboundEnqueued?.(messages);
    this.transport.write(this.writer.take());
    this.metrics.outboundSent?.(messages);
    this.updateReading();
  };

  /** The transport is gone: what was not handed to it is lost. */
  private drop(): void {
    if (this.flushTimer !== undefined) clearImmediate(this.flushTimer);
    this.flushTimer = undefined;
    const messages = this.unsent;
    this.unsent = 0;
    if (messages === 0) return;
    this.writer.take();
    this.metrics.outboundEnqueued?.(messages);
    this.metrics.outboundDropped?.(messages);
  }

  /** Pauses or resumes reading by what waits to be sent. */
  private updateReading(): void {
    if (this.protocol.error !== undefined) return;
    const { outboundPauseBytes, outboundAbortBytes } = this.limits;
    const waiting = this.outboundBytes;
    if (waiting > outboundAbortBytes) {
      this.fail(
        new RpcError(
          "overloaded",
          `${waiting} bytes wait for the peer, which does not read; the limit is ${outboundAbortBytes}`,
        ),
      );
    } else if (this.stallTimer === undefined) {
      if (waiting > outboundPauseBytes) this.pause();
    } else if (waiting <= outboundPauseBytes / 2) {
      this.stopStallTimer();
      this.transport.resume();
    }
  }

  private pause(): void {
    this.transport.pause();
    this.stallTimer = setTimeout(() => {
      this.stallTimer = undefined;
      this.transport.resume();
    }, STALL_MS);
    this.stallTimer.unref();
  }

  private stopStallTimer(): void {
    clearTimeout(this.stallTimer);
    this.stallTimer = undefined;
  }
}

/** What calls fail with that wait for a connection which ended, for whatever reason it did. */
function asDisconnected(error: RpcError): RpcError {
  if (error.kind === "disconnected") return error;
  return new RpcError("disconnected", error.message, { cause: error });
}

const NO_ID = new Uint8Array(0);
const CLOSED = new RpcError("disconnected", "the connection was closed");
