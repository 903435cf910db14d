/**
 * `Transport` on a Node socket: TCP, a unix socket, or TLS over either.
 */
import type { Socket } from "node:net";
import type { Transport } from "../types.js";
import { isTimeToRead } from "./read-budget.js";

/**
 * How long a closing connection waits for its peer to take what is queued. Long enough for a last
 * message over a slow line, short enough that a peer that has stopped reading cannot keep a process
 * from ending.
 */
const FLUSH_TIMEOUT_MS = 5_000;

/**
 * How much a socket is given at a time, in bytes. It encrypts all that it has in one go, at a
 * gigabyte a second, and nothing else can run meanwhile.
 */
const SLICE_BYTES = 1024 * 1024;

type Handlers = Parameters<Transport["start"]>[0];

export class SocketTransport implements Transport {
  readonly description: string;
  readonly #socket: Socket;
  #handlers: Handlers | undefined;
  #error: Error | undefined;
  #closing = false;
  #closed = false;
  /** What the socket was not given yet, in order. */
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  /** What was read and waits for its turn; reading is paused meanwhile. */
  #held: Buffer[] | undefined;
  #isPaused = false;

  /** `socket` is connected (and secured, if TLS) and becomes the transport's own. */
  constructor(socket: Socket, description: string) {
    this.#socket = socket;
    this.description = description;
    socket.on("error", (error) => {
      this.#error = error;
    });
    socket.on("close", () => this.#onClose());
  }

  start(handlers: Handlers): void {
    this.#handlers = handlers;
    const socket = this.#socket;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("drain", () => {
      if (this.#writeQueued()) handlers.onDrain();
    });
    // The peer will send nothing more, so no conversation is possible; it may not even read. Do not
    // wait for "close".
    socket.on("end", () => {
      this.#onClose();
      this.close();
    });
    if (socket.destroyed) process.nextTick(() => this.#onClose());
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (!this.#socket.writable || this.#closing) return true; // closing: `onClose` tells, or has told
    let bytes = 0;
    for (const chunk of chunks) bytes += chunk.byteLength;
    if (this.#queuedBytes === 0 && this.bufferedBytes + bytes <= SLICE_BYTES) {
      return this.#writeNow(chunks);
    }
    for (const chunk of chunks) this.#queue.push(chunk);
    this.#queuedBytes += bytes;
    return this.#writeQueued();
  }

  #writeNow(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (chunks.length === 1) return socket.write(chunks[0]!);
    // One system call for all of them, and over TLS as few records as possible: Node joins corked
    // chunks natively, which is as fast as any joining done here.
    socket.cork();
    let room = true;
    for (const chunk of chunks) room = socket.write(chunk);
    socket.uncork();
    return room;
  }

  /** Gives the socket what it has room for; the rest when it drains. False if it is full. */
  #writeQueued(): boolean {
    while (this.#queuedBytes > 0) {
      if (this.#socket.writableNeedDrain) return false;
      this.#writeNow(this.#nextSlice());
    }
    if (this.#closing) this.#socket.end();
    return !this.#socket.writableNeedDrain;
  }

  #nextSlice(): Uint8Array[] {
    let room = SLICE_BYTES;
    let whole = 0;
    while (whole < this.#queue.length && this.#queue[whole]!.byteLength <= room) {
      room -= this.#queue[whole++]!.byteLength;
    }
    const slice = this.#queue.splice(0, whole);
    const [next] = this.#queue;
    if (next !== undefined && room > 0) {
      slice.push(next.subarray(0, room));
      this.#queue[0] = next.subarray(room);
      room = 0;
    }
    this.#queuedBytes -= SLICE_BYTES - room;
    return slice;
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#held === undefined) this.#socket.resume();
    else setImmediate(this.#deliverHeld);
  }

  close(): void {
    const socket = this.#socket;
    if (socket.destroyed || this.#closing) return;
    this.#closing = true;
    if (this.#queuedBytes === 0) socket.end();
    const deadline = setTimeout(() => socket.destroy(), FLUSH_TIMEOUT_MS);
    socket.once("close", () => clearTimeout(deadline));
    // Nobody reads any more; what still arrives must not fill the buffers and hide the peer's end.
    this.#held = undefined;
    socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  get bufferedBytes(): number {
    return this.#queuedBytes + this.#socket.writableLength;
  }

  #onData(chunk: Buffer): void {
    if (this.#held === undefined && isTimeToRead()) {
      this.#deliver(chunk);
      return;
    }
    this.#socket.pause();
    if (this.#held === undefined) {
      this.#held = [];
      setImmediate(this.#deliverHeld);
    }
    this.#held.push(chunk);
  }

  readonly #deliverHeld = (): void => {
    const held = this.#held;
    if (held === undefined) return;
    while (held.length > 0 && !this.#isPaused && isTimeToRead()) this.#deliver(held.shift()!);
    if (this.#isPaused) return;
    if (held.length > 0) {
      setImmediate(this.#deliverHeld);
      return;
    }
    this.#held = undefined;
    this.#socket.resume();
  };

  #deliver(chunk: Buffer): void {
    if (!this.#closing) this.#handlers!.onData(chunk);
  }

  #onClose(): void {
    if (this.#closed || !this.#handlers) return;
    for (const chunk of this.#held ?? []) this.#deliver(chunk);
    this.#held = undefined;
    this.#closed = true;
    this.#handlers.onClose(this.#error);
  }
}
