/**
 * An entry of the answer table: a call of the peer's to us. In the table from Call (or Bootstrap)
 * to Finish.
 *
 * States:
 * - open: being worked on. On Finish: `canceled` is returned at once; finished. The work goes on if
 *   calls on its answer depend on it, and is cancelled if not.
 * - returned: the answer was sent, and is kept for calls on it that are under way.
 * - forwarded: the peer was told to take the answer of a question of ours, which it keeps itself.
 *   Calls on it go there.
 * - finished: gone from the table.
 */
import type { ResultListener, ResultPromise } from "../capability/result.js";
import { Content } from "../wire/content.js";
import type { Path } from "../wire/messages.js";
import type { Report } from "./inspection.js";
import type { Protocol } from "./protocol.js";
import { AnswerTarget, type Question } from "./question.js";
import { type CountedEntry, describeTarget, type RemoteTarget } from "./remote.js";

const NO_TARGETS: readonly undefined[] = [];
const NO_EXPORTS: readonly number[] = [];

export class Answer implements ResultListener {
  private state: "open" | "returned" | "forwarded" | "finished" = "open";
  /** Of each capability of the answer: what of the peer's it is, if it is. Held. */
  private targets: readonly (RemoteTarget | undefined)[] = NO_TARGETS;
  /** Exports that the answer mentioned, for peers that do not release what they were given. */
  private exports: readonly number[] = NO_EXPORTS;
  private question: Question | undefined;

  /**
   * Takes the caller's reference to `result`. `keepsResults`: the peer will ask for the answer to
   * be used as that of another question, and must not be sent it.
   */
  constructor(
    private readonly protocol: Protocol,
    readonly id: number,
    readonly result: ResultPromise,
    readonly keepsResults: boolean,
    /** What the call counts for as long as it is worked on. */
    private readonly bytes: number,
  ) {
    result.answer = this;
  }

  /** Whether the peer can be told to take the answer from a question of ours to itself. */
  isForwardable(protocol: Protocol): boolean {
    return this.protocol === protocol && this.state === "open" && !this.keepsResults;
  }

  /** Called by the result. */
  settled(): void {
    this.protocol.callEnded(this.bytes);
    if (this.state === "open") this.protocol.sendReturn(this);
  }

  /** The answer was sent. Takes `targets`. */
  returned(targets: readonly (RemoteTarget | undefined)[], exports: readonly number[]): void {
    this.state = "returned";
    this.targets = targets;
    this.exports = exports;
  }

  /** The peer was told to take the answer of `question`, of which this takes a reference. */
  forwarded(question: Question): void {
    this.state = "forwarded";
    this.question = question;
  }

  /**
   * What of the peer's the capability at `path` was said to be. Everything for that capability is
   * sent there, even if it turns into something else (rpc.capnp, "Tribble 4-way race").
   */
  targetAt(path: Path): RemoteTarget | undefined {
    if (this.state === "forwarded") return new AnswerTarget(this.question!, path);
    const content = this.result.payload?.content;
    return content instanceof Content ? this.targets[content.capabilityAt(path)] : undefined;
  }

  /**
   * A Finish came: the peer will not mention this again. `releaseExports`: nor release what the
   * answer mentioned.
   */
  finish(releaseExports: boolean): void {
    const { state, targets, exports } = this;
    this.state = "finished";
    if (state === "open") this.protocol.sendCanceled(this.id);
    this.leave();
    for (const target of targets) target?.release();
    if (releaseExports) for (const id of exports) this.protocol.releaseExport(id, 1);
  }

  /** The answer needs no Finish, or none will come as the connection is gone. */
  leave(): void {
    this.state = "finished";
    this.targets = NO_TARGETS;
    this.question?.release();
    this.question = undefined;
    this.result.release();
  }

  /** The connection is gone. */
  lose(): void {
    const { targets } = this;
    this.leave();
    for (const target of targets) target?.release();
  }

  // For tests and diagnosis (inspection.ts).

  get isUnsettled(): boolean {
    return !this.result.isSettled;
  }

  eachHeld(count: (entry: CountedEntry) => void): void {
    for (const target of this.targets) if (target !== undefined) count(target.counted);
    if (this.question !== undefined) count(this.question);
  }

  /** Reports violated invariants. */
  check(fault: Report): void {
    const { exports, question, result, state, targets } = this;
    if (result.isAbandoned) fault("its result is released");
    if (result.answer !== this) fault("its result is another's");
    if (state === "finished") fault("it is finished");
    if (state === "open" && result.isSettled) fault("it is settled and was not sent");
    if (state === "returned" && !result.isSettled) fault("it was sent and is not settled");
    if ((state === "forwarded") !== (question !== undefined)) fault("it is forwarded by halves");
    if (state !== "returned" && targets.length + exports.length > 0) fault("it mentions too much");
  }

  describe(): string {
    const { bytes, exports, isUnsettled, keepsResults, question, state, targets } = this;
    const ways = targets.flatMap((target) => (target === undefined ? [] : describeTarget(target)));
    return [
      isUnsettled && state !== "open" ? `${state}, worked on` : state,
      `${bytes} bytes`,
      ...(keepsResults ? ["kept here"] : []),
      ...(question === undefined ? [] : [`that of question ${question.id}`]),
      ...(ways.length === 0 ? [] : [`leads back to ${ways.join(" and ")}`]),
      ...(exports.length === 0 ? [] : [`mentions exports ${exports.join(" ")}`]),
    ].join(", ");
  }
}
