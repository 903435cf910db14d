/**
 * Cap'n Proto RPC, level 1: what others may use. Start with types.ts for the rules of ownership, and docs/rpc.md.
 */
export { type Address, AddressError, formatAddress, parseAddress } from "./address.js";
export { CapFileError, readCapFile, writeCapFile } from "./cap-file.js";
export { leakedReferences } from "./capability/leaks.js";
export {
  Connection,
  type ConnectionMetrics,
  type ConnectionOptions,
  type ConnectionStats,
} from "./connection/connection.js";
export { type DoorLimits, doorLimits } from "./door-limits.js";
export { ERROR_KINDS, type ErrorKind, RpcError } from "./errors.js";
export { freshId, Identity, IdentityError, type IdentityLog } from "./identity.js";
export { DEFAULT_LIMITS, type Limits } from "./limits.js";
export type { Endpoint, Listener, VatLog } from "./listener.js";
export { answers, type LivenessOptions, watchLiveness } from "./liveness.js";
export { memoryTransportPair } from "./memory-transport.js";
export {
  brokenCapability,
  type CapabilityPromise,
  type MethodEntry,
  method,
  objectType,
  PendingCapability,
  promiseCapability,
  serve,
} from "./serve.js";
export { formatFingerprint, SturdyRef, SturdyRefError } from "./sturdy-ref.js";
export type {
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
export { type ConnectOptions, type ConnectStage, Vat, type VatOptions } from "./vat.js";
