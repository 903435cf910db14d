/**
 * Answers of the peer's to our questions.
 */

import { circle } from "../capability/waiting.js";
import { RpcError } from "../errors.js";
import { Payload } from "../payload/payload.js";
import { readException, readReturn, type WirePayload } from "../wire/decode.js";
import { RETURN } from "../wire/layout.js";
import type { StructReader } from "../wire/reader.js";
import { EmbargoedAnswer } from "./embargoed-answer.js";
import { checkedPayload, type Importer, unknown } from "./importer.js";
import type { Protocol } from "./protocol.js";
import { AnswerTarget, CANCELLED, type Question } from "./question.js";
import type { RemoteTarget } from "./remote.js";

export class ReceivedReturns {
  constructor(
    private readonly protocol: Protocol,
    private readonly importer: Importer,
  ) {}

  return(body: StructReader): void {
    const message = readReturn(body);
    const { protocol } = this;
    const question = protocol.questions.get(message.answer);
    if (question === undefined || question.isReturned) throw unknown("question", message.answer);
    const wire = message.tag === RETURN.results ? checkedPayload(body.struct(0)) : NO_RESULTS;
    if (message.releaseParamCaps) {
      for (const id of question.paramExports) protocol.releaseExport(id, 1);
    }
    const { isCancelled } = question;
    const isFailed = message.tag === RETURN.exception || message.tag === RETURN.canceled;
    question.returned(message.noFinishNeeded, isFailed);
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
        if (!question.result.isAbandoned) return;
        question.result.reject(CANCELLED);
        break;
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
    // Calls on capabilities of the answer that are ours are on their way back: later ones must not
    // overtake them.
    const paths = new Map<number, RemoteTarget>();
    for (const path of question.used) {
      const index = content?.capabilityAt(path) ?? -1;
      if (index >= 0) paths.set(index, new AnswerTarget(question, path));
    }
    const hooks = this.importer.importAll(wire.capabilities, paths);
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
    const error = circle(result, other.result);
    if (error !== undefined) {
      result.reject(error);
      question.unlink();
      return;
    }
    // Calls on the answer are on their way back. Later ones wait until it is there, and then for
    // the Disembargo.
    result.accept(new EmbargoedAnswer(this.protocol, question, other));
  }
}

const NO_RESULTS: WirePayload = { content: undefined, capabilities: [] };
