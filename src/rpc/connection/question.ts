/**
 * An entry of the question table: a call of ours to the peer.
 *
 * States:
 * - waiting: sent. On Return: lingering. When the last reference and the last dependent go: Finish
 *   is sent; cancelled.
 * - cancelled: the peer was told that nobody wants the answer. It may come nevertheless. On Return:
 *   complete.
 * - lingering: answered, but still addressed. When the last reference goes, and of a failed one the
 *   last dependent: Finish is sent, if the peer needs it; complete.
 * - complete: gone from the table; the id may be used again.
 *
 * Dependents: other questions that mention this one's answer-to-be, as their target or in their
 * params, and were not answered yet. Finish would cancel this question, and OCaml's peer never
 * answers those that are left: a worker would wait for ever to hear that the secret in its
 * capability file is wrong. An answer that came with capabilities waits for no dependent. The peer
 * has passed those calls on, and what it holds for us may be a job that is to end.
 *
 * References: one of the result, until it is settled or abandoned – or as long as it lives, when
 * the peer keeps the answer (a tail call) and we only pass on calls to it. And, of a tail call, one
 * of the answer that it stands for.
 */

import type { CallRequest } from "../capability/request.js";
import type { Executor, ResultPromise } from "../capability/result.js";
import { trampoline } from "../capability/trampoline.js";
import { RpcError } from "../errors.js";
import { DESCRIPTOR } from "../wire/layout.js";
import type { Path, WireDescriptor, WireTarget } from "../wire/messages.js";
import type { Report } from "./inspection.js";
import type { Protocol } from "./protocol.js";
import type { RemoteTarget } from "./remote.js";

export class Question implements Executor {
  private references = 1;
  private dependents = 0;
  /** Those that this is a dependent of. */
  private dependencies: Question[] | undefined;
  private isLinked = true;
  private state: "waiting" | "cancelled" | "lingering" | "complete" = "waiting";
  private usedPaths: Map<string, Path> | undefined;
  /** The peer has forgotten the answer already, and waits for no Finish. */
  private isFinal = false;
  private isFailed = false;

  constructor(
    private readonly protocol: Protocol,
    readonly id: number,
    readonly result: ResultPromise,
    /** Exports that the params mentioned, for peers that do not release what they were given. */
    readonly paramExports: readonly number[],
    /** The peer keeps the answer: it is that to a question of its own. */
    readonly isTail: boolean,
  ) {}

  get isCancelled(): boolean {
    return this.state === "cancelled";
  }

  get isReturned(): boolean {
    return this.state === "lingering" || this.state === "complete";
  }

  /** Paths in the answer that were called while it was not there. */
  get used(): Iterable<Path> {
    return this.usedPaths?.values() ?? [];
  }

  get hasUsedPaths(): boolean {
    return this.usedPaths !== undefined;
  }

  markUsed(path: Path): void {
    this.usedPaths ??= new Map();
    this.usedPaths.set(path.join(), path);
  }

  /**
   * Is sent with a mention of the answer to `other`, which is not finished before this is answered.
   */
  dependOn(other: Question): void {
    if (other.state !== "waiting") return;
    other.dependents++;
    this.dependencies ??= [];
    this.dependencies.push(other);
  }

  /**
   * A Return came; `isFinal`: with `noFinishNeeded`; `isFailed`: without results. The result's
   * reference is to be given back by `unlink`, also when only dependents have kept the question
   * until now.
   */
  returned(isFinal: boolean, isFailed: boolean): void {
    this.isFinal = isFinal;
    this.isFailed = isFailed;
    if (this.state === "cancelled") {
      this.state = "complete";
      this.protocol.forgetQuestion(this.id);
      return;
    }
    this.state = "lingering";
    if (this.references === 0) {
      this.references = 1;
      this.isLinked = true;
    }
    this.leaveDependencies();
  }

  pipeline(path: Path, request: CallRequest): void {
    this.protocol.sendCall(new AnswerTarget(this, path), request);
  }

  remote(connection: Protocol, path: Path): RemoteTarget | undefined {
    return connection === this.protocol ? new AnswerTarget(this, path) : undefined;
  }

  /** Called by the result when nobody wants it any more. */
  cancel(): void {
    // The answer of a tail call is kept by the peer: nothing more will come.
    if (this.state === "lingering") this.result.reject(CANCELLED);
    this.unlink();
  }

  onLeak(): void {
    this.protocol.leaks++;
  }

  /** The result needs this no more. */
  unlink(): void {
    if (!this.isLinked) return;
    this.isLinked = false;
    this.release();
  }

  /** The connection is gone. */
  lose(error: RpcError): void {
    this.state = "complete";
    this.dependencies = undefined;
    this.result.reject(error);
  }

  addRef(): this {
    this.references++;
    return this;
  }

  release(): void {
    this.references--;
    this.finishIfUnused();
  }

  private finishIfUnused(): void {
    if (this.references > 0) return;
    if (this.state === "waiting") {
      if (this.dependents > 0) return;
      this.state = "cancelled";
      // What comes nevertheless is not looked at: the peer is to release it.
      this.protocol.sendFinish(this.id, true);
      this.leaveDependencies();
    } else if (this.state === "lingering") {
      if (this.dependents > 0 && this.isFailed && !this.isFinal) return;
      this.state = "complete";
      if (!this.isFinal) this.protocol.sendFinish(this.id, false);
      this.protocol.forgetQuestion(this.id);
    }
  }

  private leaveDependencies(): void {
    const { dependencies } = this;
    if (dependencies === undefined) return;
    this.dependencies = undefined;
    for (const other of dependencies) {
      // One that nobody refers to may be a dependent itself, and so on.
      if (--other.dependents === 0) trampoline({ run: () => other.finishIfUnused() });
    }
  }

  // For tests and diagnosis (inspection.ts).

  eachDependency(count: (entry: Question) => void): void {
    for (const other of this.dependencies ?? []) count(other);
  }

  /**
   * Reports violated invariants. `holders`: how many entries of the connection's tables hold this
   * one; `dependents`: how often other questions name it as what they depend on.
   */
  check(holders: number, dependents: number, fault: Report): void {
    const { dependencies, isFailed, isFinal, isLinked, references, result, state } = this;
    const expected = holders + (isLinked ? 1 : 0);
    if (references !== expected) fault(`${references} references, of which ${expected} are known`);
    if (dependents !== this.dependents) {
      fault(`${this.dependents} dependents, of which ${dependents} are known`);
    }
    const isUsed =
      references > 0 ||
      (dependents > 0 && (state === "waiting" || (state === "lingering" && isFailed && !isFinal)));
    if (state === "complete") fault("it is complete");
    else if ((state === "cancelled") === isUsed)
      fault(`it is ${state} and ${isUsed ? "used" : "unused"}`);
    if (state !== "waiting" && dependencies !== undefined) fault("it depends on others no more");
    if (isLinked && result.isSettled) fault("it is settled and still linked");
    if (isLinked && result.isAbandoned) fault("nobody wants it and it is still linked");
  }

  describe(): string {
    const { dependents, isTail, paramExports, references, state } = this;
    const used = [...this.used].map((path) => `[${path.join(" ")}]`);
    return [
      state,
      `references ${references}`,
      ...(dependents === 0 ? [] : [`dependents ${dependents}`]),
      ...(isTail ? ["kept there"] : []),
      ...(used.length === 0 ? [] : [`called at ${used.join(" ")}`]),
      ...(paramExports.length === 0 ? [] : [`mentioned exports ${paramExports.join(" ")}`]),
    ].join(", ");
  }
}

/** The capability at a path of a question's answer, as a target. References are to the question. */
export class AnswerTarget implements RemoteTarget {
  constructor(
    private readonly question: Question,
    private readonly path: Path,
  ) {}

  get wire(): WireTarget {
    return { kind: "answer", id: this.question.id, path: this.path };
  }

  get descriptor(): WireDescriptor {
    return { tag: DESCRIPTOR.receiverAnswer, id: this.question.id, path: this.path };
  }

  /** The answer to a tail call stays with the peer. */
  get isLasting(): boolean {
    return this.question.isTail;
  }

  get counted(): Question {
    return this.question;
  }

  /** Where the capabilities of such an answer lead is the peer's business. */
  get loop(): undefined {
    return undefined;
  }

  markUsed(): void {
    this.question.markUsed(this.path);
  }

  addRef(): this {
    this.question.addRef();
    return this;
  }

  release(): void {
    this.question.release();
  }
}

export const CANCELLED = new RpcError("failed", "the call was cancelled");
