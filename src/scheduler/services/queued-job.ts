/**
 * A job from its submission until a worker has it, or until it is clear that none will.
 *
 * Its description is kept as it came: a worker understands it, we only look at the cache hint and
 * at its kind. What the client gets is a promise of a `Job`, which becomes the worker's own `Job`:
 * log and result then pass through without being looked at.
 */
import { cacheHintBytes, cacheHintOf, needsOf } from "../../api/index.js";
import {
  type Capability,
  type DetachedPointer,
  PendingCapability,
  type RpcError,
} from "../../rpc/index.js";
import { checkHint, type QueueAccount } from "./client-limits.js";

export class QueuedJob {
  readonly hint: string;
  /** The abilities that it needs of a worker. */
  readonly needs: readonly string[];
  /** Its client has told its worker to stop, or has gone away. */
  cancelled = false;
  private readonly promise = new PendingCapability();
  private readonly bytes: number;

  /**
   * Takes `descr`. Throws an `RpcError` (overloaded) if the client has too much queued already;
   * `descr` is released then.
   */
  constructor(
    private readonly descr: DetachedPointer,
    private readonly account: QueueAccount,
    /** In seconds of the pool's clock. */
    readonly submitted: number,
    /** Its number on record; 0 if there are no records. */
    readonly id = 0,
    /** Lets go of what it is built from, when it has ended. */
    private readonly context?: () => void,
  ) {
    this.bytes = descr.byteLength;
    try {
      checkHint(cacheHintBytes(descr));
      this.hint = cacheHintOf(descr);
      this.needs = needsOf(descr);
      account.enter(this.bytes);
      descr.pack();
    } catch (error) {
      descr.release();
      context?.();
      throw error;
    }
  }

  get client(): string {
    return this.account.client;
  }

  /** A reference to the `Job` for the caller. Not after `releaseReference`. */
  reference(): Capability {
    return this.promise.reference();
  }

  /**
   * A worker takes it, and `job` is how the worker runs it (taken). Returns the description, the
   * caller's from now on.
   */
  start(job: Capability): DetachedPointer {
    this.account.leave(this.bytes);
    this.promise.resolve(job);
    return this.descr;
  }

  /**
   * Gives up our own reference to the `Job`: its client has no further use for it, unless it has
   * got one itself.
   */
  releaseReference(): void {
    this.promise.release();
  }

  /** The worker that has taken it has ended it, or is lost. */
  ended(): void {
    this.context?.();
  }

  /** Nobody will run it. */
  break(reason: RpcError): void {
    this.context?.();
    this.account.leave(this.bytes);
    this.promise.reject(reason);
    this.descr.release();
  }
}
