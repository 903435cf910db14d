/**
 * A pointer's content by itself, for keeping and relaying.
 */
import type { Struct, StructCtor } from "capnp-es";
import { RpcError } from "../errors.js";
import { PayloadWriter } from "../payload/builder.js";
import { Payload } from "../payload/payload.js";
import type { DetachedPointer } from "../types.js";
import { Content } from "../wire/content.js";

export class Detached implements DetachedPointer {
  /** Takes `payload`. */
  constructor(private payload: Payload | undefined) {}

  get byteLength(): number {
    return this.open().keep()?.byteLength ?? 0;
  }

  as<T extends Struct>(type: StructCtor<T>): T {
    return this.open().as(type);
  }

  pack(): void {
    this.open().keep();
    this.open().pack();
  }

  toBytes(): Uint8Array {
    const payload = this.open();
    if (payload.capabilities.length > 0) {
      throw new RpcError("failed", "what holds references to objects cannot be kept as bytes");
    }
    return payload.keep()?.toBytes() ?? new Uint8Array(0);
  }

  release(): void {
    this.payload?.release();
    this.payload = undefined;
  }

  [Symbol.dispose](): void {
    this.release();
  }

  open(): Payload {
    if (this.payload === undefined)
      throw new RpcError("failed", "this pointer was released already");
    return this.payload;
  }
}

/** A pointer to a struct that `fill` fills in; owned by the caller. */
export function detachedStruct<T extends Struct>(
  type: StructCtor<T>,
  fill: (root: T) => void,
): DetachedPointer {
  const writer = new PayloadWriter(type);
  fill(writer.root);
  return new Detached(writer.finish());
}

/** The payload of a detached pointer. Not taken. */
export function detachedPayload(pointer: DetachedPointer): Payload {
  if (pointer instanceof Detached) return pointer.open();
  throw new RpcError("failed", "this is no pointer of this library");
}

/**
 * A pointer's content from what `DetachedPointer.toBytes` gave, now or in an earlier process; owned
 * by the caller. The bytes are copied. Throws a `WireError` if they are not that.
 */
export function detachedFromBytes(bytes: Uint8Array): DetachedPointer {
  const content = bytes.length === 0 ? undefined : Content.fromBytes(bytes);
  return new Detached(new Payload(content, []));
}
