/**
 * The answer to a question, when the peer has said that it is the answer we give to a question of
 * its own, and calls on it are still on their way back. Until our answer is there, further calls
 * wait in the result; then each capability that was called is embargoed.
 */
import type { Hook } from "../capability/hook.js";
import type { Executor, ResultPromise } from "../capability/result.js";
import type { Waiting } from "../capability/waiting.js";
import type { Answer } from "./answer.js";
import type { Protocol } from "./protocol.js";
import { AnswerTarget, CANCELLED, type Question } from "./question.js";

export class EmbargoedAnswer implements Executor {
  private isCancelled = false;

  constructor(
    private readonly protocol: Protocol,
    private readonly question: Question,
    private readonly other: Answer,
  ) {
    // Two holds: on the other answer's result, and through the link on the question, whose answer
    // the Disembargoes go to.
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
