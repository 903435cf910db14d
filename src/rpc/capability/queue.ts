/**
 * Calls that wait for a promise to resolve, in their order. A call whose caller loses interest
 * leaves the queue.
 */
import { RpcError } from "../errors.js";
import type { Path } from "../wire/messages.js";
import type { CallRequest } from "./request.js";
import type { Executor } from "./result.js";
import type { Waiting } from "./waiting.js";

/** What calls wait for. */
interface Waitable extends Waiting {
  addRef(): unknown;
  release(): void;
}

/**
 * A member of a queue, which is a linked list: most queues are short, and there can be a million of
 * them.
 */
class QueuedCall implements Executor {
  earlier: QueuedCall | undefined;
  later: QueuedCall | undefined;
  isQueued = true;

  constructor(
    private queue: CallQueue,
    readonly path: Path,
    readonly request: CallRequest,
  ) {}

  get waitsFor(): Waiting {
    return this.currentQueue.owner;
  }

  cancel(): void {
    this.currentQueue.remove(this);
  }

  private get currentQueue(): CallQueue {
    this.queue = this.queue.current;
    return this.queue;
  }
}

export class CallQueue {
  private first: QueuedCall | undefined;
  private last: QueuedCall | undefined;
  /** Where all that was in this queue has gone. */
  private joined: CallQueue | undefined;

  /** Holds a reference to `owner` while it is not empty. */
  constructor(readonly owner: Waitable) {}

  get isEmpty(): boolean {
    return this.first === undefined;
  }

  /** The queue that the calls of this one are in. */
  get current(): CallQueue {
    let at: CallQueue = this;
    while (at.joined !== undefined) {
      at.joined = at.joined.joined ?? at.joined;
      at = at.joined;
    }
    return at;
  }

  /** Takes `request` to the end of the queue. */
  add(path: Path, request: CallRequest): void {
    request.payload.keep();
    request.payload.pack();
    const call = new QueuedCall(this, path, request);
    this.append(call, call);
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
    if (this.isEmpty) this.owner.release();
  }

  /**
   * Moves all calls to the end of `other`, in one step however many there are. Nothing may be added
   * to this any more.
   */
  moveTo(other: CallQueue): void {
    const { first, last } = this;
    if (first === undefined || last === undefined) return;
    this.first = undefined;
    this.last = undefined;
    this.joined = other;
    other.append(first, last);
    this.owner.release();
  }

  /** Empties the queue: has each call delivered, which is taken. */
  drain(deliver: (path: Path, request: CallRequest) => void): void {
    const calls: QueuedCall[] = [];
    for (let call = this.first; call !== undefined; call = call.later) calls.push(call);
    if (calls.length === 0) return;
    this.first = undefined;
    this.last = undefined;
    for (const call of calls) {
      call.isQueued = false;
      call.request.result.unaccept();
    }
    for (const { path, request } of calls) deliver(path, request);
    this.owner.release();
  }

  /** A chain of calls, from `first` to `last`. */
  private append(first: QueuedCall, last: QueuedCall): void {
    first.earlier = this.last;
    if (this.last === undefined) {
      this.owner.addRef();
      this.first = first;
    } else {
      this.last.later = first;
    }
    this.last = last;
  }
}
