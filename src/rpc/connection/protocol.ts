/**
 * The state of one connection at level 1 of rpc.capnp: the four tables and the embargoes, and
 * everything that is sent. What is received is in incoming.ts. No bytes and no sockets here:
 * messages go to a `MessageWriter`, and come in decoded.
 *
 * Order is everything: whatever is done here is done at once, in the order in which it is asked
 * for, and never calls user code (that is started from task-queue.ts). What it comes to is data
 * where that costs nothing: messages, which somebody else sends; the error that ends the
 * connection; and at the end, what is to be done about all that was in the tables. On the way of a
 * call it is done in place.
 */

import { BrokenHook, NULL_HOOK } from "../capability/broken.js";
import { type Hook, shortest } from "../capability/hook.js";
import { PromiseHook } from "../capability/promise.js";
import type { CallRequest } from "../capability/request.js";
import { ResultPromise } from "../capability/result.js";
import { RpcError } from "../errors.js";
import type { Limits } from "../limits.js";
import type { MessageWriter } from "../wire/encode.js";
import { DESCRIPTOR } from "../wire/layout.js";
import {
  NO_DESCRIPTORS,
  NO_PATH,
  type WireDescriptor,
  type WireException,
  type WireTarget,
} from "../wire/messages.js";
import type { Answer } from "./answer.js";
import { Embargo } from "./embargo.js";
import { Export } from "./export.js";
import { IdTable, PeerIdTable } from "./id-table.js";
import type { Import } from "./import.js";
import { dump, faults, type Report } from "./inspection.js";
import type { Lost } from "./loss.js";
import { Question } from "./question.js";
import type { LoopTarget, RemoteTarget } from "./remote.js";

/** What the tables need to know of the connection that they belong to. */
export interface ProtocolHost {
  readonly limits: Limits;
  /** Bytes that wait to be sent. */
  readonly outboundBytes: number;
  /** Ends the connection, from a turn of its own, telling the peer why. */
  abortLater(error: RpcError): void;
}

export class Protocol {
  readonly questions = new IdTable<Question>();
  readonly exports = new IdTable<Export>();
  readonly embargoes = new IdTable<Embargo>();
  readonly answers = new PeerIdTable<Answer>();
  readonly imports = new PeerIdTable<Import>();
  /**
   * The exports of hooks that were exported on another connection before: the others know their
   * entry.
   */
  private readonly exportsByHook = new Map<Hook, Export>();
  /**
   * Broken capabilities that the message being written mentions: their Resolve goes out behind it.
   */
  private brokenMentions: Export[] = [];

  /** Why the connection is gone, once it is. */
  error: RpcError | undefined;
  /** References that came from this connection and were lost without having been released. */
  leaks = 0;
  /** Calls of the peer's that are being worked on, and the bytes of their params. */
  callsInFlight = 0;
  callBytesInFlight = 0;

  constructor(
    private readonly host: ProtocolHost,
    readonly writer: MessageWriter,
  ) {}

  get limits(): Limits {
    return this.host.limits;
  }

  /** Asks for the peer's service `objectId`. Gives a reference to it. */
  bootstrap(objectId: Uint8Array): Hook {
    const { error } = this;
    if (error !== undefined) return new BrokenHook(error);
    const result = new ResultPromise();
    const question = this.ask(result, [], false);
    this.writer.bootstrap(question.id, objectId);
    result.accept(question);
    const hook = result.pipelined(NO_PATH);
    result.release();
    return hook;
  }

  /** Sends a call. Takes it. */
  sendCall(target: RemoteTarget, request: CallRequest): void {
    const refusal = this.refusal(request);
    if (refusal !== undefined) {
      request.fail(refusal);
      return;
    }
    const { payload, result, interfaceHigh, interfaceLow, methodId } = request;
    target.markUsed();
    // A call of the peer's whose answer will be that of this call: the peer can keep it.
    const { answer } = result;
    const isTail = answer?.isForwardable(this) === true && !result.isAbandoned;
    const descriptors = this.describeAll(payload.capabilities, true);
    const question = this.ask(result, exportIds(descriptors), isTail);
    const { wire } = target;
    this.addDependencies(question, wire, descriptors);
    this.writer.call(
      question.id,
      wire,
      interfaceHigh,
      interfaceLow,
      methodId,
      payload.content,
      descriptors,
      isTail,
    );
    this.resolveBrokenMentions();
    payload.release();
    if (isTail) {
      answer.forwarded(question.addRef());
      this.writer.returnTakeFromOtherQuestion(answer.id, question.id);
    }
    result.accept(question);
  }

  private refusal({ payload }: CallRequest): RpcError | undefined {
    if (this.error !== undefined) return this.error;
    const { outboundCallBytes, messageBytes } = this.limits;
    if (this.host.outboundBytes > outboundCallBytes) {
      return new RpcError(
        "overloaded",
        `the peer does not read what it is sent: more than ${outboundCallBytes} bytes wait for it`,
      );
    }
    const bytes = payload.content?.byteLength ?? 0;
    if (bytes > messageBytes) {
      return new RpcError(
        "failed",
        `params of ${bytes} bytes are over the limit of ${messageBytes}`,
      );
    }
    return undefined;
  }

  private ask(result: ResultPromise, exports: readonly number[], isTail: boolean): Question {
    return this.questions.add((id) => new Question(this, id, result, exports, isTail));
  }

  /** Notes whose answers a call mentions. */
  private addDependencies(
    question: Question,
    { kind, id }: WireTarget,
    descriptors: readonly WireDescriptor[],
  ): void {
    if (kind === "answer") question.dependOn(this.questions.get(id)!);
    for (const { tag, id } of descriptors) {
      if (tag === DESCRIPTOR.receiverAnswer) question.dependOn(this.questions.get(id)!);
    }
  }

  sendFinish(question: number, releaseResultCaps: boolean): void {
    if (this.error === undefined) this.writer.finish(question, releaseResultCaps);
  }

  forgetQuestion(id: number): void {
    if (this.error === undefined) this.questions.delete(id);
  }

  sendCanceled(answer: number): void {
    if (this.error === undefined) this.writer.returnCanceled(answer);
  }

  /** Sends the answer to a call of the peer's, which is settled. */
  sendReturn(answer: Answer): void {
    if (this.error !== undefined) return;
    const { payload, error } = answer.result;
    if (answer.keepsResults) {
      this.writer.returnResultsSentElsewhere(answer.id);
      answer.returned([], []);
    } else if (payload === undefined) {
      this.writer.returnException(answer.id, toWire(error ?? NO_ANSWER), false);
      answer.returned([], []);
    } else if ((payload.content?.byteLength ?? 0) > this.limits.messageBytes) {
      this.writer.returnException(answer.id, toWire(TOO_LARGE), false);
      answer.returned([], []);
    } else if (payload.capabilities.length === 0) {
      // No call can be on its way to capabilities that are not there: the entry is not needed any
      // more.
      this.writer.returnResults(answer.id, payload.content, NO_DESCRIPTORS, true);
      this.answers.delete(answer.id);
      answer.leave();
    } else {
      const descriptors = this.describeAll(payload.capabilities, false);
      const targets = payload.capabilities.map((hook) => this.lastingTarget(hook)?.addRef());
      answer.returned(targets, exportIds(descriptors));
      this.writer.returnResults(answer.id, payload.content, descriptors, false);
      this.resolveBrokenMentions();
    }
  }

  callStarted(bytes: number): void {
    this.callsInFlight++;
    this.callBytesInFlight += bytes;
  }

  callEnded(bytes: number): void {
    this.callsInFlight--;
    this.callBytesInFlight -= bytes;
  }

  /** The last of our references to an import is gone. */
  releaseImport(id: number, mentions: number): void {
    if (this.error !== undefined) return;
    this.imports.delete(id);
    this.writer.release(id, mentions);
  }

  /** The peer gives back mentions of an export. Returns false if it never had that many. */
  releaseExport(id: number, mentions: number): boolean {
    const entry = this.exports.get(id);
    if (entry === undefined || entry.mentions < mentions) return false;
    entry.mentions -= mentions;
    if (entry.mentions > 0) return true;
    this.exports.delete(id);
    this.forgetExport(entry);
    entry.dispose();
    return true;
  }

  /**
   * What of the peer's `hook` is, if that is all that will ever be known of it here: an import, or
   * a capability in an answer that the peer keeps. Not what is in the answer to an ordinary
   * question: that we shall know.
   */
  private lastingTarget(hook: Hook): RemoteTarget | undefined {
    const remote = shortest(hook).remote(this);
    return remote?.isLasting === true ? remote : undefined;
  }

  private describeAll(hooks: readonly Hook[], isForNow: boolean): readonly WireDescriptor[] {
    if (hooks.length === 0) return NO_DESCRIPTORS;
    return hooks.map((hook) => this.describe(hook, isForNow));
  }

  /**
   * How the peer is told about `hook`, in the very next message. Exports it if it is none of the
   * peer's own.
   *
   * `isForNow`: in a call, what will be in the answer to one of our questions is described as just
   * that. Not where we say what something has turned out to be: then we would have to keep the
   * question to forward to, for as long as the peer can call that something – and if the peer did
   * the same, both would wait for the other's Finish forever. There it is a promise of ours, until
   * the question is answered.
   */
  private describe(hook: Hook, isForNow: boolean): WireDescriptor {
    const end = shortest(hook);
    if (end === NULL_HOOK) return NO_CAPABILITY;
    const remote = end.remote(this);
    if (remote !== undefined && (isForNow || remote.isLasting)) return remote.descriptor;
    let entry = this.exportOf(end);
    if (entry === undefined) entry = this.export(end);
    else entry.mentions++;
    const tag = entry.isPromise ? DESCRIPTOR.senderPromise : DESCRIPTOR.senderHosted;
    return { tag, id: entry.id, path: NO_PATH };
  }

  private export(hook: Hook): Export {
    const { error, isPromise } = hook;
    const entry = this.exports.add(
      (id) => new Export(this, id, hook.addRef(), isPromise || error !== undefined),
    );
    if (error !== undefined) {
      // There is no descriptor for a broken capability: it is a promise that breaks right after. As
      // it must not be mentioned again after that, it is not remembered either.
      this.brokenMentions.push(entry);
    } else {
      if (hook.exported === undefined) hook.exported = entry;
      else this.exportsByHook.set(hook, entry);
      if (isPromise) entry.watch(hook);
    }
    if (this.exports.size > this.limits.exports) {
      this.host.abortLater(overLimit("exports", this.limits.exports));
    }
    return entry;
  }

  /** The entry under which `hook` is to be mentioned, if it was before. */
  private exportOf(hook: Hook): Export | undefined {
    const { exported } = hook;
    if (exported?.protocol === this) return exported;
    return this.exportsByHook.get(hook);
  }

  /** The hook is not to be mentioned under `entry` any more. */
  private forgetExport(entry: Export): void {
    const { hook } = entry;
    if (hook.exported === entry) hook.exported = undefined;
    else if (this.exportsByHook.get(hook) === entry) this.exportsByHook.delete(hook);
  }

  /** The promise behind `entry` has turned into `next`. */
  exportTurned(entry: Export, next: Hook): void {
    const end = shortest(next);
    const target = this.lastingTarget(end);
    // Another promise of ours: what matters to the peer is what comes of it in the end.
    if (end.isPromise && target === undefined) entry.watch(end);
    else this.resolveExport(entry, end, target);
  }

  private resolveExport(entry: Export, end: Hook, target: RemoteTarget | undefined): void {
    this.forgetExport(entry);
    if (this.error !== undefined) return;
    if (end.error !== undefined && end !== NULL_HOOK) {
      this.writer.resolveException(entry.id, toWire(end.error));
      return;
    }
    entry.target = target?.addRef();
    this.writer.resolve(entry.id, this.describe(end, false));
  }

  private resolveBrokenMentions(): void {
    if (this.brokenMentions.length === 0) return;
    const entries = this.brokenMentions;
    this.brokenMentions = [];
    for (const { id, hook } of entries) this.writer.resolveException(id, toWire(hook.error!));
  }

  /**
   * Sends a Disembargo after the calls that went to `path`, which turned out to be `hook`. Takes
   * `hook`, gives what to use in its place meanwhile.
   */
  embargo(path: RemoteTarget, source: LoopTarget, hook: Hook): Hook {
    // Calls that fail need no order.
    if (this.error !== undefined || shortest(hook).error !== undefined) return hook;
    const promise = new PromiseHook();
    const { id } = this.embargoes.add((id) => new Embargo(id, promise.addRef(), source, hook));
    this.writer.disembargo(path.wire, "senderLoopback", id);
    return promise;
  }

  /**
   * Empties the tables: the connection is gone. Gives what is to be done about what was in them,
   * see loss.ts.
   */
  lose(error: RpcError): Lost {
    this.error = error;
    this.exportsByHook.clear();
    return {
      questions: this.questions.drain(),
      imports: this.imports.drain(),
      embargoes: this.embargoes.drain(),
      answers: this.answers.drain(),
      exports: this.exports.drain(),
    };
  }

  /**
   * Violated invariants of the tables, as text; none, ever, between two messages. See
   * inspection.ts.
   */
  check(): string[] {
    return faults(this);
  }

  /** What is in the tables, line by line, for people. */
  dump(): string[] {
    return dump(this);
  }

  /** Whether the hook of `entry` is mentioned under that entry when it is mentioned again. */
  isRemembered(entry: Export): boolean {
    return this.exportOf(entry.hook) === entry;
  }

  /** Reports violated invariants of what is remembered beside the tables. */
  checkMemory(fault: Report): void {
    for (const [hook, entry] of this.exportsByHook) {
      if (hook !== entry.hook) fault(`export ${entry.id} is remembered as another`);
      if (this.exports.get(entry.id) !== entry) fault(`export ${entry.id} is remembered and gone`);
      if (hook.exported === entry) fault(`export ${entry.id} is remembered twice`);
    }
    if (this.brokenMentions.length > 0) fault("a mention of a broken capability was not resolved");
  }
}

/** The exports that descriptors mention. */
function exportIds(descriptors: readonly WireDescriptor[]): readonly number[] {
  if (descriptors.length === 0) return NO_IDS;
  return descriptors
    .filter(({ tag }) => tag === DESCRIPTOR.senderHosted || tag === DESCRIPTOR.senderPromise)
    .map(({ id }) => id);
}

const NO_IDS: readonly number[] = [];

export function toWire(error: RpcError): WireException {
  return { kind: error.kind, reason: error.message };
}

export function overLimit(what: string, limit: number): RpcError {
  return new RpcError("overloaded", `more than ${limit} ${what} on one connection`);
}

const NO_CAPABILITY: WireDescriptor = { tag: DESCRIPTOR.none, id: 0, path: NO_PATH };
const NO_ANSWER = new RpcError("failed", "the call was cancelled");
const TOO_LARGE = new RpcError(
  "failed",
  "the results are over the limit for the size of a message",
);
