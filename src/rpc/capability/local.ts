/**
 * An object that lives here, and the calls on it.
 *
 * A call is started from a task of its own, in the order in which calls arrive, and always – also
 * when the caller has lost interest by then; its signal is aborted in that case. It ends when the
 * handler has returned and its promise, if it gave one, has settled: then the params are released
 * and the answer is sent.
 *
 * An object is released when nobody refers to it and all calls on it have been started. That calls
 * are still running does not keep it: a job whose result is being waited for has to end once nobody
 * could get at it any more.
 */
import type { Struct } from "capnp-es";
import { enqueueTask, type Task } from "../../async/index.js";
import { RpcError } from "../errors.js";
import { PayloadWriter } from "../payload/builder.js";
import { Payload } from "../payload/payload.js";
import type { Capability, DetachedPointer, Method, PayloadBuilder, ServerCall } from "../types.js";
import { Detached, detachedPayload } from "./detached.js";
import {
  borrowHook,
  buildPayload,
  Handle,
  interfaceHalves,
  makeRequest,
  takeHook,
} from "./handle.js";
import { Hook } from "./hook.js";
import { CallRequest } from "./request.js";
import type { Executor } from "./result.js";

/** A method with its implementation, for objects that are told apart by a `Self`. */
export interface MethodEntry<Self = unknown> {
  readonly method: Method<Struct, Struct>;
  handler(call: ServerCall<Struct, Struct>, self: Self): void | Promise<void>;
}

/** Methods of one interface, by number. */
interface InterfaceTable<Self> {
  readonly high: number;
  readonly low: number;
  readonly methods: Map<number, MethodEntry<Self>>;
}

/** What objects of one kind have in common. */
export class ObjectType<Self> {
  private readonly interfaces: InterfaceTable<Self>[] = [];

  constructor(
    /** What the objects are, for error messages. */
    readonly name: string,
    methods: readonly MethodEntry<Self>[],
    readonly onRelease: ((self: Self) => void) | undefined,
  ) {
    for (const entry of methods) {
      const { interfaceId, methodId } = entry.method;
      const [high, low] = interfaceHalves(interfaceId);
      let table = this.find(high, low);
      if (table === undefined) {
        table = { high, low, methods: new Map() };
        this.interfaces.push(table);
      }
      table.methods.set(methodId, entry);
    }
  }

  find(interfaceHigh: number, interfaceLow: number): InterfaceTable<Self> | undefined {
    return this.interfaces.find(({ high, low }) => low === interfaceLow && high === interfaceHigh);
  }
}

export class LocalHook<Self = unknown> extends Hook {
  constructor(
    private readonly type: ObjectType<Self>,
    readonly self: Self,
  ) {
    super();
  }

  protected override deliver(request: CallRequest): void {
    const found = this.type.find(request.interfaceHigh, request.interfaceLow);
    const entry = found?.methods.get(request.methodId);
    if (entry === undefined) {
      request.fail(unknownMethod(request, found !== undefined));
      return;
    }
    request.payload.keep();
    enqueueTask(new LocalCall<Self>(this.addRef(), entry, request));
  }

  protected override abandon(): void {
    if (this.type.onRelease !== undefined) enqueueTask(new Release(this.type, this.self));
  }
}

/** Nobody refers to the object any more. */
class Release<Self> implements Task {
  constructor(
    private readonly type: ObjectType<Self>,
    private readonly self: Self,
  ) {}

  run(): void {
    this.type.onRelease!(this.self);
  }
}

const CANCELLED = new RpcError("failed", "the call was cancelled");

/** The texts are those of the OCaml implementation. */
function unknownMethod(request: CallRequest, knowsInterface: boolean): RpcError {
  const { interfaceId, methodId } = request;
  return new RpcError(
    "unimplemented",
    knowsInterface
      ? `Unknown method ${interfaceId}.${methodId}`
      : `Unknown interface ${interfaceId}`,
  );
}

class LocalCall<Self> implements ServerCall<Struct, Struct>, Executor, Task {
  private controller: AbortController | undefined;
  isCancelled = false;
  private writer: PayloadWriter<Struct> | undefined;
  private root: Struct | undefined;
  /** The answer is that of another call. */
  private isForwarded = false;
  private isEnded = false;

  /** Takes `request`, and a reference to `hook`, which it holds until it has started. */
  constructor(
    private readonly hook: LocalHook<Self>,
    private readonly entry: MethodEntry<Self>,
    private readonly request: CallRequest,
  ) {
    request.result.accept(this);
  }

  run(): void {
    let outcome: void | Promise<void>;
    try {
      outcome = this.entry.handler(this, this.hook.self);
    } catch (error) {
      this.fail(error);
      return;
    } finally {
      this.hook.release();
    }
    // What else a handler returns, against its type, is no concern of the caller's.
    if (outcome instanceof Promise) outcome.then(this.end, this.fail);
    else this.end();
  }

  get params(): Struct {
    this.root ??= this.open().payload.as(this.entry.method.ParamsClass);
    return this.root;
  }

  capability(index: number): Capability {
    return new Handle(this.open().payload.at([index]).addRef());
  }

  detach(index: number): DetachedPointer {
    return new Detached(this.open().payload.field(index));
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      // Made only when asked for: it costs more than the rest of a call.
      this.controller = new AbortController();
      if (this.isCancelled) this.controller.abort();
    }
    return this.controller.signal;
  }

  results(): Struct {
    return this.openResults().root;
  }

  setCapability(index: number, capability: Capability): void {
    const results = this.openResults();
    results.setCapability(index, takeHook(capability));
  }

  setPointer(index: number, pointer: DetachedPointer): void {
    this.openResults().setPointer(index, detachedPayload(pointer));
  }

  tailCall<P2 extends Struct>(
    target: Capability,
    method: Method<P2, Struct>,
    build?: (params: P2, payload: PayloadBuilder) => void,
  ): void {
    const hook = borrowHook(target);
    this.open();
    this.sendOn(hook, makeRequest(method, buildPayload(method, build), this.request.result));
  }

  forward(target: Capability): void {
    const hook = borrowHook(target);
    const { interfaceHigh, interfaceLow, methodId, payload, result } = this.open();
    const params = payload.share();
    this.sendOn(hook, new CallRequest(interfaceHigh, interfaceLow, methodId, params, result));
  }

  /** Called by the result. */
  cancel(): void {
    this.isCancelled = true;
    this.controller?.abort();
  }

  private sendOn(hook: Hook, request: CallRequest): void {
    if (this.isForwarded || this.writer !== undefined) {
      request.payload.release();
      throw new RpcError("failed", "this call has an answer already");
    }
    this.isForwarded = true;
    // Nobody waits for the answer, so that it need not be made.
    if (request.result.isAbandoned) request.fail(CANCELLED);
    else hook.call(request);
  }

  private openResults(): PayloadWriter<Struct> {
    this.open();
    if (this.isForwarded) throw new RpcError("failed", "this call has an answer already");
    this.writer ??= new PayloadWriter(this.entry.method.ResultsClass);
    return this.writer;
  }

  private open(): CallRequest {
    if (this.isEnded) throw new RpcError("failed", "this call has ended already");
    return this.request;
  }

  private readonly end = (): void => {
    this.isEnded = true;
    const { payload, result } = this.request;
    payload.release();
    if (!this.isForwarded) result.fulfill(this.writer?.finish() ?? Payload.empty());
  };

  private readonly fail = (error: unknown): void => {
    this.isEnded = true;
    const { payload, result } = this.request;
    payload.release();
    this.writer?.discard();
    if (!this.isForwarded) result.reject(RpcError.from(error));
  };
}
