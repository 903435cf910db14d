/**
 * Calls of the peer's, and its questions for services: each gets an entry in the answer table, and
 * goes to what it is addressed to.
 */
import type { Hook } from "../capability/hook.js";
import { CallRequest } from "../capability/request.js";
import { ResultPromise } from "../capability/result.js";
import { RpcError } from "../errors.js";
import { Payload } from "../payload/payload.js";
import { readCall, readObjectId } from "../wire/decode.js";
import { SEND_RESULTS_TO } from "../wire/layout.js";
import type { WireTarget } from "../wire/messages.js";
import type { StructReader } from "../wire/reader.js";
import { Answer } from "./answer.js";
import { checkedPayload, type Importer, NO_SUCH_CAPABILITY, unknown } from "./importer.js";
import { overLimit, type Protocol } from "./protocol.js";

/** Looks up a service for a peer. Gives a reference to it. Throws to refuse. */
export type Restore = (objectId: Uint8Array) => Hook;

export class ReceivedCalls {
  constructor(
    private readonly protocol: Protocol,
    private readonly importer: Importer,
    private readonly restore: Restore,
  ) {}

  bootstrap(body: StructReader): void {
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

  /** Returns false for a kind of call that we do not know. */
  call(body: StructReader): boolean {
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
    let hooks: readonly Hook[];
    try {
      hooks = this.importer.importAll(wire.capabilities);
    } catch (error) {
      result.reject(RpcError.from(error));
      throw error;
    }
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
}
