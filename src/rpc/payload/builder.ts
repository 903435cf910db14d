/**
 * Params or results that are being written.
 */
import { type Struct, type StructCtor, utils } from "capnp-es";
import type { Hook } from "../capability/hook.js";
import { RpcError } from "../errors.js";
import { WORD } from "../wire/layout.js";
import { SegmentMessage } from "./message.js";
import { Payload } from "./payload.js";

/** Room for most params and results; larger ones grow. */
const BUILDER_BYTES = 512;

export class PayloadWriter<T extends Struct> {
  private readonly message = new SegmentMessage(new ArrayBuffer(BUILDER_BYTES), WORD);
  private readonly hooks: Hook[] = [];
  private closed = false;
  /** The struct to fill. */
  readonly root: T;

  constructor(type: StructCtor<T>) {
    this.root = this.message.initRoot(type);
  }

  /** Takes `hook`, into pointer `index` of the root. */
  setCapability(index: number, hook: Hook): void {
    this.checkOpen();
    utils.setInterfacePointer(this.hooks.length, utils.getPointer(index, this.root));
    this.hooks.push(hook);
  }

  /** Copies `payload`, content by itself, into pointer `index` of the root. Does not take it. */
  setPointer(index: number, payload: Payload): void {
    this.checkOpen();
    const pointer = utils.getPointer(index, this.root);
    let content = payload.keep();
    if (content === undefined) {
      utils.erase(pointer);
      return;
    }
    const first = this.hooks.length;
    if (first > 0 && payload.capabilities.length > 0) {
      content = content.withCapabilities((old) => first + old);
    }
    for (const hook of payload.capabilities) this.hooks.push(hook.addRef());
    const { body } = content;
    // Room is at the end of the only segment, which may move by this.
    const { byteOffset } = this.message.segment.allocate(body.byteLength);
    const { segment } = this.message;
    new Uint8Array(segment.buffer).set(body, byteOffset);
    const [low, high] = content.rootAt(pointer.byteOffset, byteOffset);
    segment.setUint32(pointer.byteOffset, low);
    segment.setUint32(pointer.byteOffset + 4, high);
  }

  /** Ends the writing. The payload is the caller's. */
  finish(): Payload {
    this.closed = true;
    return new Payload(this.message.content, this.hooks);
  }

  /** Gives up: releases what was put in. */
  discard(): void {
    if (!this.closed) this.finish().release();
  }

  private checkOpen(): void {
    if (this.closed) throw new RpcError("failed", "this message was sent already");
  }
}
