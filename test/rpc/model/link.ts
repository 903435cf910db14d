/**
 * A connection between two vats whose messages are delivered one by one, when the test says so.
 */
import { type Capability, Connection, type Transport } from "../../../src/rpc/index.js";
import { messages } from "../support/describe.js";

type Handlers = Parameters<Transport["start"]>[0];

export class Link {
  private readonly ends: readonly [LinkEnd, LinkEnd] = [new LinkEnd(), new LinkEnd()];
  readonly connections: readonly [Connection, Connection];

  constructor(bootstraps: readonly [() => Capability, () => Capability]) {
    const [a, b] = this.ends;
    a.other = b;
    b.other = a;
    this.connections = [
      new Connection(a, { bootstrap: bootstraps[0] }),
      new Connection(b, { bootstrap: bootstraps[1] }),
    ];
  }

  /** Whether messages wait to be delivered to either end. */
  get isIdle(): boolean {
    return this.ends.every((end) => end.isIdle);
  }

  /** Delivers the next message to end 0 or 1. Returns false if there is none. */
  deliver(end: number): boolean {
    return this.ends[end]!.deliver();
  }
}

class LinkEnd implements Transport {
  readonly description = "link";
  readonly bufferedBytes = 0;
  other!: LinkEnd;
  private handlers!: Handlers;
  private readonly inbox: Uint8Array[] = [];
  /** What the other end still has to be told, after the messages. */
  private isEnding = false;
  private isClosed = false;
  get isIdle(): boolean {
    return this.isClosed || (this.inbox.length === 0 && !this.isEnding);
  }

  start(handlers: Handlers): void {
    this.handlers = handlers;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    this.other.inbox.push(...messages(Buffer.concat(chunks)));
    return true;
  }

  close(): void {
    this.other.isEnding = true;
    if (this.isClosed) return;
    this.isClosed = true;
    this.handlers.onClose();
  }

  destroy(): void {
    this.close();
  }

  pause(): void {}
  resume(): void {}

  deliver(): boolean {
    if (this.isIdle) return false;
    const message = this.inbox.shift();
    if (message !== undefined) this.handlers.onData(message);
    else this.close();
    return true;
  }
}
