/**
 * A pointer's content by itself, for keeping and relaying.
 */
import type { Struct, StructCtor } from "capnp-es";
import { RpcError } from "../errors.js";
import type { Payload } from "../payload/payload.js";
import type { DetachedPointer } from "../types.js";

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

/** The payload of a detached pointer. Not taken. */
export function detachedPayload(pointer: DetachedPointer): Payload {
  if (pointer instanceof Detached) return pointer.open();
  throw new RpcError("failed", "this is no pointer of this library");
}
