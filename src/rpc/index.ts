/**
 * Cap'n Proto RPC, level 1: what others may use. Start with types.ts for the rules of ownership,
 * and docs/rpc.md.
 */

export { detachedFromBytes, detachedStruct } from "./capability/detached.js";
export { weakReference } from "./capability/handle.js";
export { leakedReferences } from "./capability/leaks.js";
export {
  brokenCapability,
  type CapabilityPromise,
  type MethodEntry,
  method,
  objectType,
  PendingCapability,
  promiseCapability,
  serve,
} from "./capability/serve.js";
export { watched } from "./capability/watched.js";
export {
  Connection,
  type ConnectionMetrics,
  type ConnectionOptions,
  type ConnectionStats,
} from "./connection/connection.js";
export { CapFileError, ERROR_KINDS, type ErrorCode, type ErrorKind, RpcError } from "./errors.js";
export { DEFAULT_LIMITS, type Limits } from "./limits.js";
export {
  type Address,
  AddressError,
  formatAddress,
  formatHostPort,
  parseAddress,
} from "./net/address.js";
export { type AdmissionLimits, admissionLimits } from "./net/admission-limits.js";
export { readCapFile, writeCapFile } from "./net/cap-file.js";
export { freshId, Identity, IdentityError, type IdentityLog } from "./net/identity.js";
export type { Endpoint, Listener, VatLog } from "./net/listener.js";
export { listenProblem } from "./net/listener.js";
export { answers, type LivenessOptions, watchLiveness } from "./net/liveness.js";
export { memoryTransportPair } from "./net/memory-transport.js";
export { formatFingerprint, SturdyRef, SturdyRefError } from "./net/sturdy-ref.js";
export { type ConnectOptions, type ConnectStage, Vat, type VatOptions } from "./net/vat.js";
export type {
  Caller,
  Capability,
  DetachedPointer,
  Handler,
  Method,
  PayloadBuilder,
  PendingCall,
  Response,
  ServerCall,
  Transport,
} from "./types.js";
