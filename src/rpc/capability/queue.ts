/**
 * Calls that wait for a promise to resolve, in their order. A call whose caller loses interest leaves the queue.
 */
import { RpcError } from "../errors.js";
import type { Path } from "../wire/messages.js";
import type { Hook } from "./hook.js";
import type { CallRequest } from "./request.js";
import type { Executor, ResultPromise } from "./result.js";

/** What calls wait for; it holds a reference to itself for each of them, and is told when one leaves. */
interface Waitable {
  release(): void;
  readonly blocker: Hook | ResultPromise | undefined;
}

/** A member of a queue, which is a linked list: most queues are short, and there can be a million of them. */
export class QueuedCall implements Executor {
  earlier: QueuedCall | undefined;
  later: QueuedCall | undefined;
  isQueued = true;

  constructor(
    private readonly queue: CallQueue,
    readonly path: Path,
    readonly request: CallRequest,
  ) {}

  get blocker(): Hook | ResultPromise | undefined {
    return this.queue.owner.blocker;
  }

  cancel(): void {
    this.queue.remove(this);
  }
}

export class CallQueue {
  private first: QueuedCall | undefined;
  private last: QueuedCall | undefined;

  constructor(readonly owner: Waitable) {}

  /** Takes `request` to the end of the queue. The owner has counted a reference for it. */
  add(path: Path, request: CallRequest): void {
    request.payload.keep();
    request.payload.pack();
    const call = new QueuedCall(this, path, request);
    call.earlier = this.last;
    if (this.last === undefined) this.first = call;
    else this.last.later = call;
    this.last = call;
    request.result.accept(call);
  }

  remove(call: QueuedCall): void {
    if (!call.isQueued) return;
    call.isQueued = false;
    if (call.earlier === undefined) this.first = call.later;
    else call.earlier.later = call.later;
    if (call.later === undefined) this.last = call.earlier;
    else call.later.earlier = call.earlier;
    call.request.fail(new RpcError("failed", "the call was cancelled"));
    this.owner.release();
  }

  /** Empties the queue. The caller delivers the calls, and gives back the owner's reference for each. */
  takeAll(): QueuedCall[] {
    const calls: QueuedCall[] = [];
    for (let call = this.first; call !== undefined; call = call.later) calls.push(call);
    this.first = undefined;
    this.last = undefined;
    for (const call of calls) {
      call.isQueued = false;
      call.request.result.unaccept();
    }
    return calls;
  }
}
