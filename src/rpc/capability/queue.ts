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

export class QueuedCall implements Executor {
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
  private readonly calls = new Set<QueuedCall>();

  constructor(readonly owner: Waitable) {}

  /** Takes `request` to the end of the queue. The owner has counted a reference for it. */
  add(path: Path, request: CallRequest): void {
    request.payload.keep();
    const call = new QueuedCall(this, path, request);
    this.calls.add(call);
    request.result.accept(call);
  }

  remove(call: QueuedCall): void {
    if (!this.calls.delete(call)) return;
    call.request.fail(new RpcError("failed", "the call was cancelled"));
    this.owner.release();
  }

  /** Empties the queue. The caller delivers the calls, and gives back the owner's reference for each. */
  takeAll(): QueuedCall[] {
    const calls = [...this.calls];
    this.calls.clear();
    for (const { request } of calls) request.result.unaccept();
    return calls;
  }
}
