/**
 * Failures of RPC as those of a command: the other side said no or went away, or the way there is
 * not known.
 */
import type { FailureText } from "../console/index.js";
import { CapFileError, RpcError } from "../rpc/errors.js";

export const rpcFailure: FailureText = (error) => {
  if (error instanceof RpcError) return String(error);
  return error instanceof CapFileError ? error.message : undefined;
};
