/**
 * A call on its way from whoever makes it to whoever answers it.
 */
import type { RpcError } from "../errors.js";
import type { Payload } from "../payload/payload.js";
import type { ResultPromise } from "./result.js";

export class CallRequest {
  constructor(
    readonly interfaceHigh: number,
    readonly interfaceLow: number,
    readonly methodId: number,
    /** The params; owned. */
    readonly payload: Payload,
    /**
     * Where the answer goes. Whoever the call ends at settles it exactly once, even when nobody
     * waits for it any more.
     */
    readonly result: ResultPromise,
  ) {}

  get interfaceId(): bigint {
    return (BigInt(this.interfaceHigh) << 32n) | BigInt(this.interfaceLow);
  }

  fail(error: RpcError): void {
    this.payload.release();
    this.result.reject(error);
  }
}
