/**
 * What is received, at level 1 of rpc.capnp: each message changes the tables (protocol.ts) and is passed on or answered.
 *
 * A message is decoded and its payload checked before anything is changed. What is wrong with it is thrown: `WireError` for bytes that
 * are no message, `RpcError` for one that makes no sense here or is over a limit. The connection is then aborted with
 * that.
 */
import { BrokenHook, NULL_HOOK } from "../capability/broken.js";
import type { Hook } from "../capability/hook.js";
import { CallRequest } from "../capability/request.js";
import { type Executor, ResultPromise } from "../capability/result.js";
import type { Waiting } from "../capability/waiting.js";
import { RpcError } from "../errors.js";
import { Payload } from "../payload/payload.js";
import { FramePointer } from "../wire/content.js";
import {
  readCall,
  readDescriptor,
  readException,
  readObjectId,
  readPayload,
  readReturn,
  readTarget,
  type WirePayload,
} from "../wire/decode.js";
import {
  DESCRIPTOR,
  DISEMBARGO,
  MESSAGE,
  RESOLVE,
  RETURN,
  SEND_RESULTS_TO,
} from "../wire/layout.js";
import type { WireDescriptor, WireTarget } from "../wire/messages.js";
import { type FrameReader, type StructReader, WireError } from "../wire/reader.js";
import { Answer } from "./answer.js";
import { Import } from "./import.js";
import { overLimit, type Protocol } from "./protocol.js";
import { AnswerTarget, CANCELLED, type Question } from "./question.js";
import type { LoopTarget, RemoteTarget } from "./remote.js";

/** Looks up a service for a peer. Gives a reference to it. Throws to refuse. */
export type Restore = (objectId: Uint8Array) => Hook;

export class Incoming {
  constructor(
    private readonly protocol: Protocol,
    private readonly restore: Restore,
  ) {}

  /** Handles one message. Returns the peer's reason if it was an Abort. */
  handle(frame: FrameReader): RpcError | undefined {
    const message = frame.struct(0, frame.root);
    if (message === undefined) throw new WireError("the message is empty");
    const tag = message.u16(0);
    const body = message.struct(0);
    if (tag === MESSAGE.abort) {
      const { kind, reason } = readException(body);
      return new RpcError(kind, reason);
    }
    if (body === undefined || !this.dispatch(tag, body)) {
      this.protocol.writer.unimplemented(new FramePointer(frame, 0, frame.root).check());
    }
    return undefined;
  }

  /** Returns false for a message that we do not know. */
  private dispatch(tag: number, body: StructReader): boolean {
    switch (tag) {
      case MESSAGE.call:
        return this.call(body);
      case MESSAGE.return:
        this.return(body);
        return true;
      case MESSAGE.finish:
        // `releaseResultCaps` defaults to true: a set bit means false.
        this.protocol.answers.get(body.u32(0))?.finish(!body.bit(32));
        this.protocol.answers.delete(body.u32(0));
        return true;
      case MESSAGE.resolve:
        this.resolve(body);
        return true;
      case MESSAGE.release:
        if (!this.protocol.releaseExport(body.u32(0), body.u32(4))) {
          throw unknown("export", body.u32(0));
        }
        return true;
      case MESSAGE.disembargo:
        return this.disembargo(body);
      case MESSAGE.bootstrap:
        this.bootstrap(body);
        return true;
      case MESSAGE.unimplemented:
        this.unimplemented(body);
        return true;
      default:
        return false;
    }
  }

  private bootstrap(body: StructReader): void {
    const id = body.u32(0);
    const objectId = readObjectId(body);
    const result = new ResultPromise();
    this.addAnswer(id, result, false, 0);
    let hook: Hook;
    try {
      hook = this.restore(objectId);
    } catch (error) {
      result.reject(RpcError.from(error));
      return;
    }
    result.fulfill(Payload.ofCapability(hook));
  }

  private call(body: StructReader): boolean {
    const call = readCall(body);
    const { sendResultsTo } = call;
    if (sendResultsTo !== SEND_RESULTS_TO.caller && sendResultsTo !== SEND_RESULTS_TO.yourself) {
      return false;
    }
    const wire = checkedPayload(call.payload);
    // Found before the call gets an entry: it cannot be addressed to its own answer.
    const deliver = this.target(call.target);
    const result = new ResultPromise();
    const bytes = wire.content?.byteLength ?? 0;
    this.addAnswer(call.question, result, sendResultsTo === SEND_RESULTS_TO.yourself, bytes);
    const hooks = this.importAll(wire.capabilities);
    const { interfaceHigh, interfaceLow, methodId } = call;
    const payload = new Payload(wire.content, hooks);
    deliver(new CallRequest(interfaceHigh, interfaceLow, methodId, payload, result));
    return true;
  }

  private addAnswer(id: number, result: ResultPromise, keepsResults: boolean, bytes: number): void {
    const { protocol } = this;
    if (protocol.answers.has(id)) throw new RpcError("failed", `question ${id} is in use already`);
    const { unfinishedAnswers } = protocol.limits;
    if (protocol.answers.size - protocol.callsInFlight >= unfinishedAnswers) {
      throw overLimit("unfinished answers", unfinishedAnswers);
    }
    const answer = new Answer(protocol, id, result, keepsResults, bytes);
    protocol.answers.set(id, answer);
    protocol.callStarted(bytes);
    result.listen(answer);
    const { callsInFlight, callBytesInFlight } = protocol.limits;
    if (protocol.callsInFlight > callsInFlight) throw overLimit("calls in flight", callsInFlight);
    if (protocol.callBytesInFlight > callBytesInFlight) {
      throw overLimit("bytes of calls in flight", callBytesInFlight);
    }
  }

  /** How a call that is addressed to `target` is delivered. */
  private target({ kind, id, path }: WireTarget): (request: CallRequest) => void {
    const { protocol } = this;
    if (kind === "export") {
      const entry = protocol.exports.get(id);
      if (entry === undefined) throw unknown("export", id);
      const { target } = entry;
      if (target !== undefined) return (request) => protocol.sendCall(target, request);
      return (request) => entry.hook.call(request);
    }
    const answer = protocol.answers.get(id);
    if (answer === undefined) return (request) => request.fail(NO_SUCH_CAPABILITY);
    const target = answer.targetAt(path);
    if (target !== undefined) return (request) => protocol.sendCall(target, request);
    return (request) => {
      const hook = answer.result.pipelined(path);
      hook.call(request);
      hook.release();
    };
  }

  private return(body: StructReader): void {
    const message = readReturn(body);
    const { protocol } = this;
    const question = protocol.questions.get(message.answer);
    if (question === undefined || question.isReturned) throw unknown("question", message.answer);
    const wire = message.tag === RETURN.results ? checkedPayload(body.struct(0)) : NO_RESULTS;
    if (message.releaseParamCaps) {
      for (const id of question.paramExports) protocol.releaseExport(id, 1);
    }
    const { isCancelled } = question;
    question.returned(message.noFinishNeeded);
    if (isCancelled) {
      // The peer releases the answer's capabilities itself, as our Finish told it to.
      question.result.reject(CANCELLED);
      return;
    }
    switch (message.tag) {
      case RETURN.results:
        this.results(question, wire);
        return;
      case RETURN.exception: {
        const { kind, reason } = readException(body.struct(0));
        question.result.reject(new RpcError(kind, reason));
        break;
      }
      case RETURN.canceled:
        question.result.reject(CANCELLED);
        break;
      case RETURN.resultsSentElsewhere:
        if (!question.isTail) throw new RpcError("failed", "the results were sent nowhere");
        // The result stays open, and calls on it go on to be sent to this question.
        return;
      case RETURN.takeFromOtherQuestion:
        this.takeFrom(question, message.otherQuestion);
        return;
      default:
        throw new RpcError("failed", `unknown kind ${message.tag} of return`);
    }
    question.unlink();
  }

  private results(question: Question, wire: WirePayload): void {
    if (wire.capabilities.length === 0) {
      question.result.fulfill(new Payload(wire.content, []));
      question.unlink();
      return;
    }
    const content = wire.content?.toContent();
    // Calls on capabilities of the answer that are ours are on their way back: later ones must not overtake them.
    const paths = new Map<number, RemoteTarget>();
    for (const path of question.used) {
      const index = content?.capabilityAt(path) ?? -1;
      if (index >= 0) paths.set(index, new AnswerTarget(question, path));
    }
    const hooks = this.importAll(wire.capabilities, paths);
    question.result.fulfill(new Payload(content, hooks));
    question.unlink();
  }

  private takeFrom(question: Question, id: number): void {
    const other = this.protocol.answers.get(id);
    if (other === undefined || !other.keepsResults) throw unknown("answer", id);
    const { result } = question;
    if (!question.hasUsedPaths || result.isAbandoned) {
      result.follow(other.result.addRef());
      question.unlink();
      return;
    }
    // Calls on the answer are on their way back. Later ones wait until it is there, and then for the Disembargo.
    result.accept(new EmbargoedAnswer(this.protocol, question, other));
  }

  private resolve(body: StructReader): void {
    const id = body.u32(0);
    const entry = this.protocol.imports.get(id);
    if (body.u16(4) === RESOLVE.exception) {
      const { kind, reason } = readException(body.struct(0));
      if (entry !== undefined) {
        this.checkResolvable(entry);
        entry.resolve("nowhere", new BrokenHook(new RpcError(kind, reason)));
      }
      return;
    }
    const cap = body.struct(0);
    if (body.u16(4) !== RESOLVE.cap || cap === undefined) {
      throw new RpcError("failed", "a promise was resolved to something unknown");
    }
    const descriptor = readDescriptor(cap);
    if (entry === undefined) {
      // Released while the Resolve was on its way.
      this.import(descriptor, undefined).release();
      return;
    }
    this.checkResolvable(entry);
    const { promiseSteps } = this.protocol.limits;
    if (entry.steps >= promiseSteps) throw overLimit("promises for promises", promiseSteps);
    const path = entry.used ? entry : undefined;
    // Nobody here uses the promise itself any more: only what it was resolved to matters, to those who forward to it.
    const target = this.import(descriptor, entry.hook === undefined ? undefined : path);
    if (descriptor.tag === DESCRIPTOR.senderPromise) {
      const next = this.protocol.imports.get(descriptor.id);
      if (next !== undefined) next.steps = Math.max(next.steps, entry.steps + 1);
    }
    entry.resolve(this.resolutionOf(descriptor), target);
  }

  private checkResolvable(entry: Import): void {
    if (!entry.isPromise || entry.isResolved) {
      throw new RpcError("failed", `import ${entry.id} is not a promise (any more)`);
    }
  }

  private disembargo(body: StructReader): boolean {
    const { protocol } = this;
    const id = body.u32(0);
    const target = readTarget(body.struct(0));
    switch (body.u16(4)) {
      case DISEMBARGO.senderLoopback: {
        const remote =
          target.kind === "export"
            ? protocol.exports.get(target.id)?.target
            : protocol.answers.get(target.id)?.targetAt(target.path);
        if (remote === undefined) {
          throw new RpcError("failed", "a Disembargo for something that does not lead back");
        }
        protocol.writer.disembargo(remote.wire, "receiverLoopback", id);
        return true;
      }
      case DISEMBARGO.receiverLoopback: {
        const embargo = protocol.embargoes.get(id);
        if (embargo === undefined) throw unknown("embargo", id);
        const { promise, hook, next } = embargo;
        protocol.embargoes.delete(id);
        promise.resolve(next === undefined ? hook : protocol.embargo(next.path, next.source, hook));
        promise.release();
        return true;
      }
      default:
        return false;
    }
  }

  /** The peer did not understand what we sent. */
  private unimplemented(message: StructReader): void {
    const tag = message.u16(0);
    const body = message.struct(0);
    if (body === undefined) throw new WireError("an empty message was not understood");
    if (tag === MESSAGE.bootstrap || tag === MESSAGE.call) {
      const question = this.protocol.questions.get(body.u32(0));
      if (question === undefined || question.isReturned) throw unknown("question", body.u32(0));
      for (const id of question.paramExports) this.protocol.releaseExport(id, 1);
      question.returned(true);
      question.result.reject(new RpcError("unimplemented", "the peer does not know this message"));
      question.unlink();
    } else if (tag === MESSAGE.resolve) {
      // It will not use what the promise was resolved to.
      const cap = body.u16(4) === RESOLVE.cap ? body.struct(0) : undefined;
      if (cap === undefined) return;
      const { tag, id } = readDescriptor(cap);
      if (tag === DESCRIPTOR.senderHosted || tag === DESCRIPTOR.senderPromise) {
        if (!this.protocol.releaseExport(id, 1)) throw unknown("export", id);
      }
    } else {
      throw new RpcError("failed", `the peer does not know message ${tag}, which it must`);
    }
  }

  private importAll(
    descriptors: readonly WireDescriptor[],
    paths?: ReadonlyMap<number, RemoteTarget>,
  ): readonly Hook[] {
    if (descriptors.length === 0) return NO_HOOKS;
    const hooks: Hook[] = [];
    try {
      for (const descriptor of descriptors) {
        hooks.push(this.import(descriptor, paths?.get(hooks.length)));
      }
    } catch (error) {
      for (const hook of hooks) hook.release();
      throw error;
    }
    return hooks;
  }

  /**
   * The capability that `descriptor` describes. Gives a reference. `path`: where it was called while it was a promise, if it
   * was.
   */
  private import({ tag, id, path }: WireDescriptor, embargoPath: RemoteTarget | undefined): Hook {
    const { protocol } = this;
    switch (tag) {
      case DESCRIPTOR.senderHosted:
      case DESCRIPTOR.thirdPartyHosted:
        // Of a third party's capability we use the vine, which leads to it through the peer.
        return this.importFrom(id, false, false);
      case DESCRIPTOR.senderPromise:
        return this.importFrom(id, true, embargoPath !== undefined);
      case DESCRIPTOR.receiverHosted: {
        const entry = protocol.exports.get(id);
        if (entry === undefined) throw unknown("export", id);
        const hook = entry.hook.addRef();
        return embargoPath === undefined
          ? hook
          : protocol.embargo(embargoPath, { export: entry }, hook);
      }
      case DESCRIPTOR.receiverAnswer: {
        const answer = protocol.answers.get(id);
        if (answer === undefined) return new BrokenHook(NO_SUCH_CAPABILITY);
        const hook = answer.result.pipelined(path);
        return embargoPath === undefined
          ? hook
          : protocol.embargo(embargoPath, { answer, path }, hook);
      }
      default:
        return NULL_HOOK.addRef();
    }
  }

  private importFrom(id: number, isPromise: boolean, isUsed: boolean): Hook {
    const { protocol } = this;
    const existing = protocol.imports.get(id);
    if (existing !== undefined) {
      if (existing.isResolved) throw new RpcError("failed", `promise ${id} was resolved already`);
      return existing.mention(isUsed);
    }
    const { imports } = protocol.limits;
    if (protocol.imports.size >= imports) throw overLimit("imports", imports);
    const entry = new Import(protocol, id, isPromise, isUsed);
    protocol.imports.set(id, entry);
    return entry.hook!;
  }

  /** Where calls lead that were sent to something which turned out to be `descriptor`. Holds the import, if it is one. */
  private resolutionOf({ tag, id, path }: WireDescriptor): LoopTarget | Import | "nowhere" {
    const { protocol } = this;
    switch (tag) {
      case DESCRIPTOR.receiverHosted: {
        const entry = protocol.exports.get(id);
        return entry === undefined ? "nowhere" : { export: entry };
      }
      case DESCRIPTOR.receiverAnswer: {
        const answer = protocol.answers.get(id);
        return answer === undefined ? "nowhere" : { answer, path };
      }
      case DESCRIPTOR.senderHosted:
      case DESCRIPTOR.senderPromise:
      case DESCRIPTOR.thirdPartyHosted:
        return protocol.imports.get(id)?.addRef() ?? "nowhere";
      default:
        return "nowhere";
    }
  }
}

/**
 * The answer to a question, when the peer has said that it is the answer we give to a question of its own, and calls on it
 * are still on their way back. Until our answer is there, further calls wait in the result; then each capability that was
 * called is embargoed.
 */
class EmbargoedAnswer implements Executor {
  private isCancelled = false;

  constructor(
    private readonly protocol: Protocol,
    private readonly question: Question,
    private readonly other: Answer,
  ) {
    // Two holds: on the other answer's result, and through the link on the question, whose answer the Disembargoes go to.
    other.result.addRef();
    other.result.listen(this);
  }

  get waitsFor(): Waiting {
    return this.other.result;
  }

  cancel(): void {
    if (this.isCancelled) return;
    this.isCancelled = true;
    this.question.result.reject(CANCELLED);
    this.question.unlink();
    this.other.result.release();
  }

  /** Called by the other answer's result. */
  settled({ payload, error }: ResultPromise): void {
    if (this.isCancelled) return;
    this.isCancelled = true;
    const { result } = this.question;
    if (payload === undefined) {
      result.reject(error ?? CANCELLED);
    } else {
      const own = payload.share();
      const embargoed = new Map<number, Hook>();
      for (const path of this.question.used) {
        const index = own.indexAt(path);
        if (index < 0 || embargoed.has(index)) continue;
        const via = new AnswerTarget(this.question, path);
        const hook = own.capabilities[index]!.addRef();
        embargoed.set(index, this.protocol.embargo(via, { answer: this.other, path }, hook));
      }
      own.replace(embargoed);
      result.fulfill(own);
    }
    this.question.unlink();
    this.other.result.release();
  }
}

function checkedPayload(reader: StructReader | undefined): WirePayload {
  const payload = readPayload(reader);
  payload.content?.check();
  return payload;
}

function unknown(what: string, id: number): RpcError {
  return new RpcError("failed", `unknown ${what} ${id}`);
}

const NO_HOOKS: readonly Hook[] = [];
const NO_RESULTS: WirePayload = { content: undefined, capabilities: [] };
const NO_SUCH_CAPABILITY = new RpcError(
  "failed",
  "the answer that was called held no capabilities, or is released already",
);
