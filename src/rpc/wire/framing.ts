/**
 * Cuts a byte stream into messages (encoding.md, "Serialization Over a Stream"). A message that
 * lies in one chunk is handed on in place; one that spans chunks is collected. The header is
 * checked before anything is allocated for it.
 */
import type { Limits } from "../limits.js";
import { WORD } from "./layout.js";
import { WireError } from "./reader.js";

/** Looked at with the header of each message. */
export type FramingLimits = Pick<Limits, "messageBytes" | "segments">;

/**
 * Given the bytes of one message, from `start` on; valid only during the call. Returns false to
 * stop.
 */
type OnMessage = (bytes: Uint8Array, view: DataView, start: number) => boolean;

/**
 * A message's first buffer, when only its beginning is here; it grows as bytes come, not as they
 * are announced.
 */
const FIRST_BUFFER_BYTES = 1024 * 1024;

export class MessageSplitter {
  private partial: Uint8Array | undefined;
  private have = 0;
  /** Length of the partial message, once its header says so. */
  private need = 0;

  constructor(
    private readonly limits: FramingLimits,
    private readonly onMessage: OnMessage,
  ) {}

  /** Bytes of an unfinished message that are held. */
  get bufferedBytes(): number {
    return this.have;
  }

  /**
   * Hands on every message that ends in `chunk`. Throws `WireError` on a header that is over a
   * limit.
   */
  push(chunk: Uint8Array): void {
    let at = 0;
    if (this.partial !== undefined) {
      at = this.fillPartial(chunk);
      if (at < 0) return;
    }
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (at < chunk.byteLength) {
      const need = messageLength(view, at, chunk.byteLength - at, this.limits);
      if (need === 0 || need > chunk.byteLength - at) {
        this.startPartial(chunk, at, need);
        return;
      }
      if (!this.onMessage(chunk, view, at)) return;
      at += need;
    }
  }

  private startPartial(chunk: Uint8Array, at: number, need: number): void {
    this.have = chunk.byteLength - at;
    this.need = need;
    const room = need === 0 ? MAX_HEADER_START : Math.min(need, FIRST_BUFFER_BYTES);
    this.partial = allocate(Math.max(room, this.have));
    this.partial.set(chunk.subarray(at));
  }

  /**
   * Adds to the partial message. Returns where the chunk goes on, or -1 when all of it was taken.
   */
  private fillPartial(chunk: Uint8Array): number {
    let at = 0;
    while (this.need === 0) {
      // The header itself is incomplete: take it word by word until it says how long the message
      // is.
      if (at === chunk.byteLength) return -1;
      const take = Math.min(WORD - (this.have % WORD), chunk.byteLength - at);
      this.append(chunk, at, take, this.have + take);
      at += take;
      const partial = this.partial!;
      const view = new DataView(partial.buffer, partial.byteOffset, this.have);
      this.need = messageLength(view, 0, this.have, this.limits);
    }
    const take = Math.min(this.need - this.have, chunk.byteLength - at);
    this.append(chunk, at, take, this.need);
    at += take;
    if (this.have < this.need) return -1;
    const message = this.partial!;
    this.partial = undefined;
    this.have = 0;
    const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
    const goesOn = this.onMessage(message, view, 0);
    recycle(message);
    return goesOn ? at : -1;
  }

  private append(chunk: Uint8Array, from: number, bytes: number, total: number): void {
    const length = this.have + bytes;
    if (this.partial!.byteLength < length) {
      const grown = allocate(Math.max(length, Math.min(total, 2 * this.partial!.byteLength)));
      grown.set(this.partial!.subarray(0, this.have));
      recycle(this.partial!);
      this.partial = grown;
    }
    this.partial!.set(chunk.subarray(from, from + bytes), this.have);
    this.have = length;
  }
}

/** From this size on a buffer is memory of its own, and not a part of Node's pool. */
const MIN_SPARE_BYTES = Buffer.poolSize / 2;

/**
 * A buffer whose message was handled, for the next one: to get memory from the system and give it
 * back takes longer than to fill it, and makes for garbage collections. One for all connections, as
 * few of them have a large message under way at a time.
 */
let spare: Uint8Array | undefined;

/** Bytes that are not cleared: they are only looked at where they have been written. */
function allocate(bytes: number): Uint8Array {
  if (spare === undefined || bytes < MIN_SPARE_BYTES || bytes > spare.byteLength) {
    return Buffer.allocUnsafe(bytes);
  }
  const buffer = spare;
  spare = undefined;
  return buffer;
}

function recycle(buffer: Uint8Array): void {
  const { byteLength } = buffer;
  if (byteLength < MIN_SPARE_BYTES || byteLength > FIRST_BUFFER_BYTES) return;
  if (spare === undefined || byteLength > spare.byteLength) spare = buffer;
}

/** Room for the header of a message of a few segments. */
const MAX_HEADER_START = 64;

/**
 * Length in bytes of the message that starts at `at`, header included; 0 when too little of it is
 * here to say.
 */
function messageLength(
  view: DataView,
  at: number,
  available: number,
  limits: FramingLimits,
): number {
  if (available < 4) return 0;
  const segments = view.getUint32(at, true) + 1;
  if (segments > limits.segments) {
    throw new WireError(
      `a message of ${segments} segments is over the limit of ${limits.segments}`,
    );
  }
  const header = ((segments + 2) >> 1) * WORD;
  if (available < header) return 0;
  let content = 0;
  for (let i = 0; i < segments; i++) content += view.getUint32(at + 4 + 4 * i, true) * WORD;
  if (content > limits.messageBytes) {
    throw new WireError(
      `a message of ${content} bytes is over the limit of ${limits.messageBytes}`,
    );
  }
  return header + content;
}
