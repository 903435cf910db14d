/**
 * A capability that is decided later. Calls wait here, in order, and go on when it is.
 */
import { RpcError } from "../errors.js";
import { NO_PATH } from "../wire/messages.js";
import { BrokenHook } from "./broken.js";
import { Hook, shortest } from "./hook.js";
import { CallQueue } from "./queue.js";
import type { CallRequest } from "./request.js";

export class PromiseHook extends Hook {
  private target: Hook | undefined;
  private queue: CallQueue | undefined;

  override get next(): Hook | undefined {
    return this.target;
  }

  override get isPromise(): boolean {
    return this.target === undefined;
  }

  override get blocker(): Hook["blocker"] {
    return this.target === undefined ? this : this.target.blocker;
  }

  override call(request: CallRequest): void {
    if (this.target !== undefined) {
      this.target.call(request);
      return;
    }
    this.addRef();
    this.queue ??= new CallQueue(this);
    this.queue.add(NO_PATH, request);
  }

  override onLeak(): void {
    this.target?.onLeak();
  }

  /** Decides it. Takes `target`. Without effect, but for releasing `target`, when it is decided or nobody holds it any more. */
  resolve(target: Hook): void {
    if (this.target !== undefined || !this.isReferenced) {
      target.release();
      return;
    }
    let end = shortest(target).addRef();
    target.release();
    if (end.blocker === this) {
      end.release();
      end = new BrokenHook(new RpcError("failed", "the capability is a promise for itself"));
    }
    this.addRef();
    this.target = end;
    for (const { request } of this.queue?.takeAll() ?? []) {
      end.call(request);
      this.release();
    }
    this.notifyWatchers(end);
    this.release();
  }

  reject(error: RpcError): void {
    this.resolve(new BrokenHook(error));
  }

  protected override dispose(): void {
    this.target?.release();
  }
}
