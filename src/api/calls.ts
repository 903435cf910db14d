/**
 * What the interfaces have in common: waiting for an answer, taking a capability out of one to
 * come, and out of params.
 */
import { type Struct, utils } from "capnp-es";
import { type Capability, type PendingCall, RpcError, type ServerCall } from "../rpc/index.js";

/** Options of every call that is waited for. */
export interface CallOptions {
  /** Cancels the call, which rejects as "failed" then. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Waits for the answer, takes a value out of it and releases it. Rejects with the call's
 * `RpcError`.
 */
export async function resultOf<R extends Struct, T>(
  call: PendingCall<R>,
  read: (results: R) => T,
): Promise<T> {
  try {
    return read((await call.response).results);
  } finally {
    call.cancel();
  }
}

/** Waits for an answer that says nothing. Rejects with the call's `RpcError`. */
export function done(call: PendingCall<Struct>): Promise<void> {
  return resultOf(call, () => undefined);
}

/**
 * A new reference to the capability at pointer `index` of the params, owned by the handler. Throws
 * an `RpcError` (failed) with `complaint` if the caller has left it out.
 */
export function requiredCapability(
  call: ServerCall<Struct, Struct>,
  index: number,
  complaint: string,
): Capability {
  const capability = optionalCapability(call, index);
  if (capability === undefined) throw new RpcError("failed", complaint);
  return capability;
}

/** The same for one that the caller may leave out. */
export function optionalCapability(
  call: ServerCall<Struct, Struct>,
  index: number,
): Capability | undefined {
  if (utils.isNull(utils.getPointer(index, call.params))) return undefined;
  return call.capability(index);
}

/**
 * The capability that the answer will hold at pointer `index`, usable at once and owned by the
 * caller.
 */
export function capabilityOf(call: PendingCall<Struct>, index: number): Capability {
  const capability = call.capability(index);
  call.cancel(); // The capability holds the call now.
  return capability;
}

/** Fills a list of texts in that has as many entries. */
export function writeTexts(
  list: { set(index: number, text: string): void },
  texts: readonly string[],
): void {
  for (const [index, text] of texts.entries()) list.set(index, text);
}
