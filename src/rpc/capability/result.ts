/**
 * The answer to a call, before and after it is there. The caller makes it and sends it along with the call; whoever the call
 * ends at settles it.
 *
 * States:
 * - pending. Calls on capabilities of the answer-to-be (pipelining) go to `executor`, if that knows what to do with them; else they
 *   wait here. `follow` makes it a mere link: from then on all is up to the other result.
 * - fulfilled or rejected. What waited has been passed on. A fulfilled one owns its payload.
 * - abandoned: nobody holds it any more. If that happens while it is pending, the executor is told to cancel; what
 *   comes nevertheless is released.
 *
 * References: one of the caller, one of each pipelined capability in use, one of each pipelined call that waits here. So a call is
 * not cancelled while calls on its answer depend on it.
 */
import { RpcError } from "../errors.js";
import type { Payload } from "../payload/payload.js";
import type { Path } from "../wire/messages.js";
import { BrokenHook } from "./broken.js";
import { FieldHook } from "./field.js";
import { type Hook, shortest } from "./hook.js";
import { CallQueue, type QueuedCall } from "./queue.js";
import type { CallRequest } from "./request.js";

/** Who works on a call. */
export interface Executor {
  /** Passes on a call on the capability at `path` of the answer. Takes it. Absent: such calls wait for the answer. */
  pipeline?(path: Path, request: CallRequest): void;
  /** The caller has lost interest. The result must still be settled, some time. */
  cancel(): void;
  /** What the executor itself waits for, see `Hook.blocker`. */
  readonly blocker?: Hook | ResultPromise | undefined;
  /** See `Hook.remote`. */
  remote?(connection: object, path: Path): unknown;
  /** See `Hook.onLeak`. */
  onLeak?(): void;
}

/** Told once, when a result is settled – also one that was abandoned before. */
export interface ResultListener {
  settled(result: ResultPromise): void;
}

export class ResultPromise {
  private references = 1;
  private executor: Executor | undefined;
  private followed: ResultPromise | undefined;
  private fields: Map<string, FieldHook> | undefined;
  private queue: CallQueue | undefined;
  private listener: ResultListener | undefined;
  private moreListeners: ResultListener[] | undefined;
  private settled = false;

  /** The answer, when fulfilled and not abandoned. */
  payload: Payload | undefined;
  /** Why there is none. */
  error: RpcError | undefined;

  /**
   * The entry of a connection's answer table that the answer is for, when the call came from there: lets that connection
   * recognise a call that goes straight back.
   */
  answer: unknown;

  /** `depth`: how many calls it waits for, one behind the other, as each is on the answer to another. */
  constructor(readonly depth = 0) {}

  get isSettled(): boolean {
    return this.settled;
  }

  get isAbandoned(): boolean {
    return this.references === 0;
  }

  /** See `Hook.blocker`: what must happen before this can settle; this itself, if it only depends on its executor. */
  get blocker(): Hook | ResultPromise | undefined {
    if (this.settled) return undefined;
    if (this.followed !== undefined) return this.followed.blocker;
    return this.executor?.blocker ?? this;
  }

  addRef(): this {
    this.references++;
    return this;
  }

  release(): void {
    if (--this.references > 0) return;
    const { executor, followed, payload } = this;
    this.executor = undefined;
    this.followed = undefined;
    this.payload = undefined;
    payload?.release();
    executor?.cancel();
    followed?.release();
  }

  /** Adds a listener; calls it at once when the result is settled already. */
  listen(listener: ResultListener): void {
    if (this.settled) listener.settled(this);
    else if (this.listener === undefined) this.listener = listener;
    else {
      this.moreListeners ??= [];
      this.moreListeners.push(listener);
    }
  }

  /** Says who works on the call from now on. Pipelined calls that have waited for it go to it. */
  accept(executor: Executor): void {
    if (this.settled) return;
    if (this.references === 0) {
      executor.cancel();
      return;
    }
    this.executor = executor;
    if (executor.pipeline === undefined) return;
    for (const { path, request } of this.takeQueue()) {
      executor.pipeline(path, request);
      this.release();
    }
    if (this.fields !== undefined) for (const field of this.fields.values()) field.moved();
  }

  /** The call waits somewhere no longer: until the next `accept`, nobody works on it. */
  unaccept(): void {
    this.executor = undefined;
  }

  /** Takes `payload`. */
  fulfill(payload: Payload): void {
    if (this.settled) {
      payload.release();
      return;
    }
    if (this.references === 0) {
      payload.release();
      this.settle();
      return;
    }
    if (payload.capabilities.length > 0) {
      payload.keep();
      this.breakCycles(payload);
    }
    this.payload = payload;
    this.settle();
  }

  reject(error: RpcError): void {
    if (this.settled) return;
    this.error = error;
    this.settle();
  }

  /**
   * Makes this the same as `other`, of which it takes a reference. Calls on its capabilities go there from now on, including those
   * that have waited here.
   */
  follow(other: ResultPromise): void {
    if (other.blocker === this) {
      other.release();
      this.reject(new RpcError("failed", "the call would have to wait for its own answer"));
      return;
    }
    this.executor = undefined;
    if (this.references === 0) {
      other.release();
    } else {
      this.followed = other;
      for (const { path, request } of this.takeQueue()) {
        callAndRelease(other.pipelined(path), request);
        this.release();
      }
      this.resolveFields((path) => other.pipelined(path));
    }
    other.listen({
      settled: () => {
        const held = this.followed !== undefined;
        this.followed = undefined;
        if (other.payload === undefined) this.reject(other.error ?? ABANDONED);
        else this.fulfill(other.payload.share());
        if (held) other.release();
      },
    });
  }

  /** The capability that is, or will be, at `path` of the answer. Gives a reference. */
  pipelined(path: Path): Hook {
    if (this.error !== undefined) return new BrokenHook(this.error);
    if (this.payload !== undefined) return this.payload.at(path).addRef();
    if (this.followed !== undefined) return this.followed.pipelined(path);
    const key = path.join();
    const existing = this.fields?.get(key);
    if (existing !== undefined) return existing.addRef();
    const field = new FieldHook(this.addRef(), path);
    this.fields ??= new Map();
    this.fields.set(key, field);
    return field;
  }

  /** A call on the capability at `path` of a pending answer. Takes it. */
  pipeline(path: Path, request: CallRequest): void {
    if (this.settled) {
      callAndRelease(this.pipelined(path), request);
    } else if (this.executor?.pipeline !== undefined) {
      this.executor.pipeline(path, request);
    } else if (this.blocker === request.result) {
      request.fail(new RpcError("failed", "the call would have to wait for its own answer"));
    } else {
      this.queue ??= new CallQueue(this);
      this.addRef();
      this.queue.add(path, request);
    }
  }

  /** See `Hook.remote`. */
  remote(connection: object, path: Path): unknown {
    return this.executor?.remote?.(connection, path);
  }

  /** See `Hook.onLeak`. */
  onLeak(): void {
    this.executor?.onLeak?.();
  }

  /** The last reference to the capability at `path` is gone. */
  dropField(path: Path): void {
    this.fields?.delete(path.join());
    this.release();
  }

  private settle(): void {
    this.settled = true;
    this.executor = undefined;
    if (this.references > 0) {
      // Holds the result while what it held alive is passed on.
      this.references++;
      this.notify();
      for (const { path, request } of this.takeQueue()) {
        callAndRelease(this.pipelined(path), request);
        this.release();
      }
      this.resolveFields((path) => this.pipelined(path));
      this.payload?.expire();
      this.release();
    } else {
      this.notify();
    }
  }

  private notify(): void {
    this.listener?.settled(this);
    this.listener = undefined;
    if (this.moreListeners === undefined) return;
    for (const listener of this.moreListeners) listener.settled(this);
    this.moreListeners = undefined;
  }

  private takeQueue(): readonly QueuedCall[] {
    const { queue } = this;
    if (queue === undefined) return [];
    this.queue = undefined;
    return queue.takeAll();
  }

  private resolveFields(target: (path: Path) => Hook): void {
    const { fields } = this;
    if (fields === undefined) return;
    this.fields = undefined;
    for (const field of fields.values()) {
      // Passing on what waited may have dropped it.
      if (field.isReferenced) field.resolve(target(field.path));
    }
  }

  /**
   * An answer may hold one of its own capabilities-to-be, in another place: that is put in its place. One that leads back to itself is
   * broken.
   */
  private breakCycles(payload: Payload): void {
    payload.capabilities.forEach((hook, index) => {
      let target = shortest(hook);
      const seen = new Set<Hook>();
      while (target instanceof FieldHook && target.result === this) {
        if (seen.has(target)) {
          target = new BrokenHook(new RpcError("failed", "the capability is a promise for itself"));
          break;
        }
        seen.add(target);
        target = shortest(payload.at(target.path));
      }
      if (seen.size > 0) payload.replace(index, target.addRef());
    });
  }
}

function callAndRelease(hook: Hook, request: CallRequest): void {
  hook.call(request);
  hook.release();
}

const ABANDONED = new RpcError("failed", "the call was cancelled");
