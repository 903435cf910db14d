/**
 * A capability that is decided later. Calls wait here, in order, and go on when it is.
 */
import type { RpcError } from "../errors.js";
import { NO_PATH } from "../wire/messages.js";
import { BrokenHook } from "./broken.js";
import { Hook, shortest } from "./hook.js";
import { CallQueue } from "./queue.js";
import type { CallRequest } from "./request.js";
import { circle, type Waiting } from "./waiting.js";

export class PromiseHook extends Hook {
  private queue: CallQueue | undefined;

  override get isPromise(): boolean {
    return this.next === undefined;
  }

  override get isUndecided(): boolean {
    return this.next === undefined;
  }

  override get waitsFor(): Waiting {
    return this.next ?? this;
  }

  protected override deliver(request: CallRequest): void {
    this.openQueue().add(NO_PATH, request);
  }

  /**
   * Decides it. Takes `target`. Without effect, but for releasing `target`, when it is decided or
   * nobody holds it any more.
   */
  resolve(target: Hook): void {
    if (this.next !== undefined || !this.isReferenced) {
      target.release();
      return;
    }
    let end = shortest(target).addRef();
    target.release();
    const error = this.circleWith(end);
    if (error !== undefined) {
      end.release();
      end = new BrokenHook(error);
    }
    this.addRef();
    this.turnInto(end);
    const { queue } = this;
    this.queue = undefined;
    if (queue !== undefined) {
      if (end instanceof PromiseHook) queue.moveTo(end.openQueue());
      else queue.drain((_, request) => end.call(request));
    }
    this.notifyWatchers(end);
    this.release();
  }

  reject(error: RpcError): void {
    this.resolve(new BrokenHook(error));
  }

  /** Only what waits in the queue can make another thing wait for this. */
  private circleWith(end: Hook): RpcError | undefined {
    return end === this || this.queue?.isEmpty === false ? circle(this, end) : undefined;
  }

  private openQueue(): CallQueue {
    this.queue ??= new CallQueue(this);
    return this.queue;
  }

  protected override abandon(): void {}
}
