/**
 * A capability that fails every call with the same error.
 */
import { RpcError } from "../errors.js";
import { Hook } from "./hook.js";
import type { CallRequest } from "./request.js";

export class BrokenHook extends Hook {
  constructor(private readonly reason: RpcError) {
    super();
  }

  override get error(): RpcError {
    return this.reason;
  }

  protected override deliver(request: CallRequest): void {
    request.fail(this.reason);
  }

  /** It owns nothing. */
  protected override abandon(): void {}
}

/** The absence of a capability. Goes over the wire as such, and not as an error. */
export const NULL_HOOK: Hook = new BrokenHook(
  new RpcError("failed", "there is no capability here"),
);
