/**
 * What a message can be addressed to at the peer: an import, or a capability in the answer to a question. Either is held
 * by counted references, so that its id stays valid as long as we may still use it.
 */
import type { WireDescriptor, WireTarget } from "../wire/messages.js";

export interface RemoteTarget {
  /** How messages are addressed to it. */
  readonly wire: WireTarget;
  /** How the peer is told that something is this. */
  readonly descriptor: WireDescriptor;
  /** What it turns out to be, we shall not learn or need not wait for. */
  readonly isLasting: boolean;
  /** Notes that a call was sent to it: if it resolves to something here, that call is still on its way back. */
  markUsed(): void;
  /**
   * If calls that were sent to it may still come back to us, as it has resolved to something here: where a Disembargo must be
   * sent to follow them.
   */
  readonly embargoPath: RemoteTarget | undefined;
  addRef(): this;
  release(): void;
}
