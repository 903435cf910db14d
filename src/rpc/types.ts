/**
 * The public shape of an RPC conversation: what a caller holds, what a server is given, who owns
 * what.
 *
 * Ownership in one paragraph. A `Capability` is one counted reference to an object, here or on
 * another machine. Who gets one from a function that returns it owns it, and must `release()` it
 * (or use `using`) exactly once; who passes one to a function whose comment says "takes" has given
 * it away. `dup()` makes a second reference. Capabilities inside a message belong to the message:
 * reading one out of it gives a new reference of your own, and releasing the message releases the
 * rest.
 *
 * Ordering. Calls on one reference arrive in the order in which they were made, also while it is a
 * promise, and also across its resolution (rpc.capnp, "Disembargo").
 */
import type { Struct, StructCtor } from "capnp-es";
import type { RpcError } from "./errors.js";

/**
 * One method of a schema's interface. Entries of the generated `X$Client.methods` are of this
 * shape.
 */
export interface Method<P extends Struct, R extends Struct> {
  readonly interfaceId: bigint;
  readonly methodId: number;
  readonly interfaceName?: string;
  readonly methodName?: string;
  readonly ParamsClass: StructCtor<P>;
  readonly ResultsClass: StructCtor<R>;
}

/**
 * A message being written: the typed struct is filled through capnp-es, capabilities through this.
 */
export interface PayloadBuilder {
  /**
   * Puts a capability in pointer `index` of the root struct (the ordinal among its pointers, as in
   * the schema's layout). Takes `capability`: it is released with the message.
   */
  setCapability(index: number, capability: Capability): void;

  /**
   * Copies a detached pointer (data and capabilities) into pointer `index` of the root struct. Does
   * not take it.
   */
  setPointer(index: number, pointer: DetachedPointer): void;
}

/**
 * A pointer's whole content, copied out of a message: compact bytes that outlive it. Used to keep
 * or relay what need not be understood (a queued job's description, say). Owns the capabilities in
 * it.
 */
export interface DetachedPointer extends Disposable {
  /** Size of the encoded content. */
  readonly byteLength: number;
  /** Reads the content as a struct. The reader is valid until the pointer is packed or released. */
  as<T extends Struct>(type: StructCtor<T>): T;
  /**
   * Puts the content into its smallest form, for one that is kept for long: it unfolds when it is
   * used again.
   */
  pack(): void;
  /**
   * A copy of the content as bytes, for a file: `detachedFromBytes` makes a pointer of them again.
   * Throws an `RpcError` (failed) if there are capabilities in it.
   */
  toBytes(): Uint8Array;
  release(): void;
}

/** A reference to an object, local or remote. See the ownership rules above. */
export interface Capability extends Disposable {
  /**
   * Calls a method. `build` fills the params before this returns. Never throws for a broken or
   * remote target: the failure arrives in `PendingCall.response`. Throws `RpcError` (failed) when
   * this reference was released already.
   */
  call<P extends Struct, R extends Struct>(
    method: Method<P, R>,
    build?: (params: P, payload: PayloadBuilder) => void,
    options?: { readonly signal?: AbortSignal | undefined },
  ): PendingCall<R>;

  /** A second reference to the same object, owned by the caller. */
  dup(): Capability;

  /**
   * Gives this reference up. The object is told when its last reference, here or remote, is gone.
   * Idempotent.
   */
  release(): void;

  /** Fulfilled when this is no promise (any more); rejects with the `RpcError` it broke with. */
  whenResolved(): Promise<void>;

  /**
   * Calls `listener` once, when this reference's object is lost: the connection ended, or the
   * promise broke (at once if that is so already). Returns a function that unsubscribes.
   */
  onBroken(listener: (error: RpcError) => void): () => void;
}

/**
 * A call that was sent. Dispose it (or its response) when done: an unfinished call is cancelled by
 * it.
 */
export interface PendingCall<R extends Struct> extends Disposable {
  /**
   * The answer; rejects with an `RpcError`. Nobody has to listen: an unobserved rejection is not
   * reported.
   */
  readonly response: Promise<Response<R>>;

  /**
   * The capability that the answer will hold at this path of pointer indices, usable at once
   * (promise pipelining). The caller owns it.
   */
  capability(...path: number[]): Capability;

  /**
   * Cancels the call if it is unanswered, and releases the answer if not. Pipelined capabilities
   * taken live on. Idempotent.
   */
  cancel(): void;
}

/** An answer. Release it: readers into it and capabilities still in it go with it. */
export interface Response<R extends Struct> extends Disposable {
  readonly results: R;
  /**
   * A new reference to the capability at pointer `index` of the results; a broken one if there is
   * none.
   */
  capability(index: number): Capability;
  /** Copies pointer `index` of the results out. */
  detach(index: number): DetachedPointer;
  release(): void;
}

/** Whoever waits for the answer to a call. */
export interface Caller {
  /**
   * Aborted when the caller no longer wants the answer: it cancelled, released or disconnected.
   * Made when it is asked for, which costs more than the rest of a call.
   */
  readonly signal: AbortSignal;
  /** Whether that has happened. */
  readonly isCancelled: boolean;
}

/** What a method's handler is given. */
export interface ServerCall<P extends Struct, R extends Struct> extends Caller {
  readonly params: P;
  /**
   * A new reference to the capability at pointer `index` of the params, owned by the handler; a
   * broken one if absent.
   */
  capability(index: number): Capability;
  /** Copies pointer `index` of the params out. */
  detach(index: number): DetachedPointer;
  /** Starts the results. May be called once; not after `tailCall` or `forward`. */
  results(): R;
  /** Takes `capability`, into pointer `index` of the results. */
  setCapability(index: number, capability: Capability): void;
  /** Copies `pointer` into pointer `index` of the results. */
  setPointer(index: number, pointer: DetachedPointer): void;
  /**
   * Makes the answer that of another call, which is sent at once; the answer does not pass through
   * the handler. Does not take `target`.
   */
  tailCall<P2 extends Struct>(
    target: Capability,
    method: Method<P2, R>,
    build?: (params: P2, payload: PayloadBuilder) => void,
  ): void;
  /** `tailCall` of the same method with the same params, which are copied without being decoded. */
  forward(target: Capability): void;
}

/**
 * A method's implementation. The call is answered when it returns or its promise settles; an
 * `RpcError` it throws goes to the caller as it is, anything else as "failed" with its message.
 * Handlers of one object start in the order of the calls and may overlap.
 */
export type Handler<P extends Struct, R extends Struct> = (
  call: ServerCall<P, R>,
) => void | Promise<void>;

/**
 * A byte stream to a peer, as the connection needs it: TCP, TLS, a unix socket, or a pair in memory
 * for tests.
 */
export interface Transport {
  /**
   * Called by the connection once. `onData` must not keep the chunk; `onClose` fires exactly once,
   * after all data.
   */
  start(handlers: {
    onData(chunk: Uint8Array): void;
    onDrain(): void;
    onClose(error?: Error): void;
  }): void;
  /**
   * Queues bytes; false when the peer is slow and the caller should wait for `onDrain`. Chunks are
   * not copied.
   */
  write(chunks: readonly Uint8Array[]): boolean;
  /** Stops `onData` until `resume`. */
  pause(): void;
  resume(): void;
  /** Flushes what is queued (within reason), then closes. */
  close(): void;
  /** Closes at once. */
  destroy(): void;
  /** Bytes queued and not yet handed to the system. */
  readonly bufferedBytes: number;
  /** The peer as text for logs, such as `tcp:127.0.0.1:9000`. */
  readonly description: string;
}
