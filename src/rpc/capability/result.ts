/**
 * The answer to a call, before and after it is there. The caller makes it and sends it along with
 * the call; whoever the call ends at settles it.
 *
 * States:
 * - pending. Calls on capabilities of the answer-to-be (pipelining) go to `executor`, if that knows
 *   what to do with them; else they wait here. `follow` makes it a mere link: from then on all is
 *   up to the other result.
 * - fulfilled or rejected. What waited has been passed on. A fulfilled one owns its payload.
 * - abandoned: nobody holds it any more. If that happens while it is pending, the executor is told
 *   to cancel; what comes nevertheless is released.
 *
 * References: one of the caller, one of each pipelined capability in use, one of the pipelined
 * calls that wait here. So a call is not cancelled while calls on its answer depend on it.
 *
 * Answers can wait for each other: whatever one does to the next is a step of its own
 * (trampoline.ts).
 */
import type { Answer } from "../connection/answer.js";
import type { Protocol } from "../connection/protocol.js";
import type { RemoteTarget } from "../connection/remote.js";
import { RpcError } from "../errors.js";
import type { Payload } from "../payload/payload.js";
import type { Path } from "../wire/messages.js";
import { BrokenHook } from "./broken.js";
import { FieldHook } from "./field.js";
import { type Hook, shortest } from "./hook.js";
import { CallQueue } from "./queue.js";
import { RefCounted } from "./ref-counted.js";
import type { CallRequest } from "./request.js";
import { trampoline } from "./trampoline.js";
import { circle, WAITS_FOR_ITSELF, type Waiting } from "./waiting.js";

/** Who works on a call. */
export interface Executor {
  /**
   * Passes on a call on the capability at `path` of the answer. Takes it. Absent: such calls wait
   * for the answer.
   */
  pipeline?(path: Path, request: CallRequest): void;
  /** The caller has lost interest. The result must still be settled, some time. */
  cancel(): void;
  /** What the executor itself waits for. */
  readonly waitsFor?: Waiting;
  /** See `Hook.remote`. */
  remote?(connection: Protocol, path: Path): RemoteTarget | undefined;
  /** See `Hook.onLeak`. */
  onLeak?(): void;
}

/** Told once, when a result is settled – also one that was abandoned before. */
export interface ResultListener {
  settled(result: ResultPromise): void;
}

export class ResultPromise extends RefCounted implements Waiting {
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
   * The entry of a connection's answer table that the answer is for, when the call came from there:
   * lets that connection recognise a call that goes straight back.
   */
  answer: Answer | undefined;

  get isSettled(): boolean {
    return this.settled;
  }

  get isAbandoned(): boolean {
    return !this.isReferenced;
  }

  /** Whether it is up to a peer. */
  get isRemote(): boolean {
    return this.executor?.remote !== undefined;
  }

  get waitsFor(): Waiting | undefined {
    if (this.settled) return undefined;
    return this.followed ?? this.executor?.waitsFor ?? this;
  }

  protected override dispose(): void {
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
    if (executor.pipeline === undefined || !this.isAwaited) this.acceptNow(executor);
    else trampoline({ run: () => this.acceptNow(executor) });
  }

  private acceptNow(executor: Executor): void {
    if (this.settled) return;
    if (this.isAbandoned) {
      executor.cancel();
      return;
    }
    this.executor = executor;
    if (executor.pipeline === undefined) return;
    this.drainQueue((path, request) => executor.pipeline!(path, request));
    if (this.fields !== undefined) for (const field of this.fields.values()) field.moved();
  }

  /** The call waits somewhere no longer: until the next `accept`, nobody works on it. */
  unaccept(): void {
    this.executor = undefined;
  }

  /** Takes `payload`. */
  fulfill(payload: Payload): void {
    trampoline({ run: () => this.fulfillNow(payload) });
  }

  private fulfillNow(payload: Payload): void {
    if (this.settled) {
      payload.release();
      return;
    }
    if (this.isAbandoned) {
      payload.release();
      this.settle();
      return;
    }
    if (payload.capabilities.length > 0) {
      payload.keep();
      this.breakCircles(payload);
    }
    this.payload = payload;
    this.settle();
  }

  reject(error: RpcError): void {
    trampoline({ run: () => this.rejectNow(error) });
  }

  private rejectNow(error: RpcError): void {
    if (this.settled) return;
    this.error = error;
    this.settle();
  }

  /**
   * Makes this the same as `other`, of which it takes a reference. Calls on its capabilities go
   * there from now on, including those that have waited here.
   */
  follow(other: ResultPromise): void {
    const end = other.followedEnd.addRef();
    other.release();
    const error = circle(this, end);
    if (error !== undefined) {
      end.release();
      this.reject(error);
      return;
    }
    this.executor = undefined;
    if (this.isAbandoned) {
      end.release();
    } else {
      this.followed = end;
      this.drainQueue((path, request) => callAndRelease(end.pipelined(path), request));
      this.resolveFields((path) => end.pipelined(path));
    }
    end.listen({
      settled: () => {
        const held = this.followed !== undefined;
        this.followed = undefined;
        if (end.payload === undefined) this.reject(end.error ?? ABANDONED);
        else this.fulfill(end.payload.share());
        if (held) end.release();
      },
    });
  }

  /** The capability that is, or will be, at `path` of the answer. Gives a reference. */
  pipelined(path: Path): Hook {
    return this.followedEnd.ownPipelined(path);
  }

  private get followedEnd(): ResultPromise {
    let at: ResultPromise = this;
    while (at.followed !== undefined) at = at.followed;
    return at;
  }

  private ownPipelined(path: Path): Hook {
    if (this.error !== undefined) return new BrokenHook(this.error);
    if (this.payload !== undefined) return this.payload.at(path).addRef();
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
      return;
    }
    if (this.executor?.pipeline !== undefined) {
      this.executor.pipeline(path, request);
      return;
    }
    const error = request.result.isAwaited ? circle(request.result, this) : undefined;
    if (error !== undefined) {
      request.fail(error);
      return;
    }
    this.queue ??= new CallQueue(this);
    this.queue.add(path, request);
  }

  /** See `Hook.remote`. */
  remote(connection: Protocol, path: Path): RemoteTarget | undefined {
    return this.executor?.remote?.(connection, path);
  }

  /** See `Hook.onLeak`. */
  onLeak(): void {
    this.executor?.onLeak?.();
  }

  /** The last reference to `field` is gone. */
  dropField(field: FieldHook): void {
    const key = field.path.join();
    if (this.fields?.get(key) === field) this.fields.delete(key);
    this.release();
  }

  private settle(): void {
    this.settled = true;
    this.executor = undefined;
    // Holds the result while what it held alive is passed on.
    const isWanted = !this.isAbandoned;
    if (isWanted) this.addRef();
    this.notify();
    if (!isWanted) return;
    this.drainQueue((path, request) => callAndRelease(this.pipelined(path), request));
    this.resolveFields((path) => this.pipelined(path));
    this.payload?.expire();
    this.release();
  }

  private notify(): void {
    this.listener?.settled(this);
    this.listener = undefined;
    if (this.moreListeners === undefined) return;
    for (const listener of this.moreListeners) listener.settled(this);
    this.moreListeners = undefined;
  }

  /** Calls, capabilities or other answers may wait for it. */
  private get isAwaited(): boolean {
    return (
      this.queue !== undefined || this.fields !== undefined || this.moreListeners !== undefined
    );
  }

  private drainQueue(deliver: (path: Path, request: CallRequest) => void): void {
    const { queue } = this;
    this.queue = undefined;
    queue?.drain(deliver);
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
   * An answer may hold one of its own capabilities-to-be, in another place: that is put in its
   * place. One that leads back to itself is broken.
   */
  private breakCircles(payload: Payload): void {
    // What was found out, as many may lead through the same.
    const ends = new Map<Hook, Hook>();
    const replacements = new Map<number, Hook>();
    payload.capabilities.forEach((hook, index) => {
      const start = shortest(hook);
      const passed: Hook[] = [];
      let end = start;
      while (end instanceof FieldHook && end.result === this) {
        const known = ends.get(end);
        if (known !== undefined) {
          end = known;
        } else {
          // Until it is known, whoever comes back here goes in a circle.
          ends.set(end, CIRCLE);
          passed.push(end);
          end = shortest(payload.at(end.path));
        }
      }
      for (const field of passed) ends.set(field, end);
      if (end !== start) replacements.set(index, end.addRef());
    });
    payload.replace(replacements);
  }
}

const CIRCLE = new BrokenHook(WAITS_FOR_ITSELF);

function callAndRelease(hook: Hook, request: CallRequest): void {
  hook.call(request);
  hook.release();
}

const ABANDONED = new RpcError("failed", "the call was cancelled");
