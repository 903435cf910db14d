/**
 * `Transport` on a Node socket: TCP, a unix socket, or TLS over either.
 */
import type { Socket } from "node:net";
import type { Transport } from "./types.js";

/**
 * How long a closing connection waits for its peer to take what is queued. Long enough for a last message over a slow
 * line, short enough that a peer that has stopped reading cannot keep a process from ending.
 */
const FLUSH_TIMEOUT_MS = 5_000;

type Handlers = Parameters<Transport["start"]>[0];

export class SocketTransport implements Transport {
  readonly description: string;
  readonly #socket: Socket;
  #handlers: Handlers | undefined;
  #error: Error | undefined;
  #closing = false;
  #closed = false;

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
    socket.on("data", (chunk: Buffer) => {
      if (!this.#closing) handlers.onData(chunk);
    });
    socket.on("drain", () => handlers.onDrain());
    // The peer will send nothing more, so no conversation is possible; it may not even read. Do not wait for "close".
    socket.on("end", () => {
      this.#onClose();
      this.close();
    });
    if (socket.destroyed) process.nextTick(() => this.#onClose());
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (!socket.writable) return true; // closing: `onClose` tells, or has told
    if (chunks.length === 1) return socket.write(chunks[0]!);
    // One system call for all of them, and over TLS as few records as possible: Node joins corked chunks natively, which
    // is as fast as any joining done here.
    socket.cork();
    let room = true;
    for (const chunk of chunks) room = socket.write(chunk);
    socket.uncork();
    return room;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    const socket = this.#socket;
    if (socket.destroyed || this.#closing) return;
    this.#closing = true;
    socket.end();
    const deadline = setTimeout(() => socket.destroy(), FLUSH_TIMEOUT_MS);
    socket.once("close", () => clearTimeout(deadline));
    // Nobody reads any more; what still arrives must not fill the buffers and hide the peer's end.
    socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  #onClose(): void {
    if (this.#closed || !this.#handlers) return;
    this.#closed = true;
    this.#handlers.onClose(this.#error);
  }
}
