/**
 * Two ends of a byte stream in this process, for tests and for objects that should be separated
 * though they are neighbours.
 */
import type { Transport } from "../types.js";

/** Bytes under way from which on `write` says that the peer is slow. */
const HIGH_WATER_BYTES = 64 * 1024;

/**
 * When the bytes that were written are delivered; by default at the end of the turn of the event
 * loop.
 */
export type Schedule = (deliver: () => void) => void;

/**
 * A pair of connected transports. `schedule` decides when each delivery happens; they stay in
 * order.
 */
export function memoryTransportPair(schedule: Schedule = setImmediate): [Transport, Transport] {
  const a = new MemoryTransport("memory:a", schedule);
  const b = new MemoryTransport("memory:b", schedule);
  a.other = b;
  b.other = a;
  return [a, b];
}

type Handlers = Parameters<Transport["start"]>[0];

class MemoryTransport implements Transport {
  other!: MemoryTransport;
  private handlers: Handlers | undefined;
  /** Written by the other end and not delivered yet. */
  private inbox: Uint8Array[] = [];
  private inboxBytes = 0;
  private isPaused = false;
  private isScheduled = false;
  /** The other end has closed: what is in the inbox is the last. */
  private isEnded = false;
  private isClosed = false;

  constructor(
    readonly description: string,
    private readonly schedule: Schedule,
  ) {}

  get bufferedBytes(): number {
    return this.other.inboxBytes;
  }

  start(handlers: Handlers): void {
    this.handlers = handlers;
    this.scheduleDelivery();
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (!this.isClosed) this.other.receive(chunks);
    return this.bufferedBytes < HIGH_WATER_BYTES;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.scheduleDelivery();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.other.isEnded = true;
    this.other.scheduleDelivery();
    this.inbox = [];
    this.inboxBytes = 0;
    this.schedule(() => this.handlers?.onClose());
  }

  destroy(): void {
    this.other.inbox = [];
    this.other.inboxBytes = 0;
    this.close();
  }

  private receive(chunks: readonly Uint8Array[]): void {
    if (this.isClosed) return;
    for (const chunk of chunks) {
      this.inbox.push(chunk);
      this.inboxBytes += chunk.byteLength;
    }
    this.scheduleDelivery();
  }

  private scheduleDelivery(): void {
    if (this.isScheduled || this.isPaused || this.isClosed || this.handlers === undefined) return;
    this.isScheduled = true;
    this.schedule(() => this.deliver());
  }

  private deliver(): void {
    this.isScheduled = false;
    if (this.isClosed) return;
    const wasSlow = this.inboxBytes >= HIGH_WATER_BYTES;
    while (!this.isPaused && !this.isClosed) {
      const chunk = this.inbox.shift();
      if (chunk === undefined) break;
      this.inboxBytes -= chunk.byteLength;
      this.handlers!.onData(chunk);
    }
    if (wasSlow && this.inboxBytes < HIGH_WATER_BYTES) this.other.handlers?.onDrain();
    if (this.isEnded && !this.isClosed && this.inbox.length === 0) {
      this.isClosed = true;
      this.handlers!.onClose();
    }
  }
}
