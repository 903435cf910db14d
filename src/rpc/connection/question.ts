/**
 * An entry of the question table: a call of ours to the peer.
 *
 * States:
 * - waiting: sent. On Return: lingering. When the last reference goes: Finish is sent; cancelled.
 * - cancelled: the peer was told that nobody wants the answer. It may come nevertheless. On Return: complete.
 * - lingering: answered, but still addressed. When the last reference goes: Finish is sent; complete.
 * - complete: gone from the table; the id may be used again.
 *
 * References: one of the result, until it is settled or abandoned – or as long as it lives, when the peer keeps the answer (a tail
 * call) and we only pass on calls to it. And one of each answer and export of ours that was said to be a capability in
 * this question's answer: calls on them go here and nowhere else, and so does a Disembargo.
 */

import type { CallRequest } from "../capability/request.js";
import type { Executor, ResultPromise } from "../capability/result.js";
import { RpcError } from "../errors.js";
import type { Content } from "../wire/content.js";
import { DESCRIPTOR } from "../wire/layout.js";
import type { Path, WireDescriptor, WireTarget } from "../wire/messages.js";
import { Import } from "./import.js";
import type { Protocol } from "./protocol.js";
import type { RemoteTarget } from "./remote.js";

/** Where calls on capabilities of an answer lead that came: back to us, to imports (held), or nowhere that they come back from. */
export type Resolution =
  | "local"
  | "nowhere"
  | { readonly content: Content; readonly capabilities: readonly ("local" | "nowhere" | Import)[] };

export class Question implements Executor {
  private references = 1;
  private isLinked = true;
  private state: "waiting" | "cancelled" | "lingering" | "complete" = "waiting";
  private resolution: Resolution = "nowhere";
  private usedPaths: Map<string, Path> | undefined;

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

  /** Somebody else than the result will still address this. */
  get isHeld(): boolean {
    return this.references > (this.isLinked ? 1 : 0);
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

  /** A Return came. What is in `resolution` is taken. */
  returned(resolution: Resolution): void {
    if (this.state === "cancelled") {
      this.state = "complete";
      this.protocol.forgetQuestion(this.id);
      releaseResolution(resolution);
    } else {
      this.state = "lingering";
      this.resolution = resolution;
    }
  }

  /** See `RemoteTarget.embargoPath`, for the capability at `path`. */
  embargoPath(path: Path): RemoteTarget | undefined {
    if (this.state !== "lingering" || this.usedPaths?.has(path.join()) !== true) return undefined;
    const { resolution } = this;
    if (resolution === "nowhere") return undefined;
    if (resolution === "local") return new AnswerTarget(this, path);
    const capability = resolution.capabilities[resolution.content.capabilityAt(path)];
    if (capability === "local") return new AnswerTarget(this, path);
    return capability instanceof Import ? capability.loopPath : undefined;
  }

  pipeline(path: Path, request: CallRequest): void {
    this.protocol.sendCall(new AnswerTarget(this, path), request);
  }

  remote(connection: object, path: Path): unknown {
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
    releaseResolution(this.resolution);
    this.resolution = "nowhere";
    this.result.reject(error);
  }

  addRef(): this {
    this.references++;
    return this;
  }

  release(): void {
    if (--this.references > 0) return;
    if (this.state === "waiting") {
      this.state = "cancelled";
      // What comes nevertheless is not looked at: the peer is to release it.
      this.protocol.sendFinish(this.id, true);
    } else if (this.state === "lingering") {
      this.state = "complete";
      this.protocol.sendFinish(this.id, false);
      this.protocol.forgetQuestion(this.id);
      releaseResolution(this.resolution);
    }
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

  get embargoPath(): RemoteTarget | undefined {
    return this.question.embargoPath(this.path);
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

function releaseResolution(resolution: Resolution): void {
  if (typeof resolution === "string") return;
  for (const capability of resolution.capabilities) {
    if (capability instanceof Import) capability.release();
  }
}

export const CANCELLED = new RpcError("failed", "the call was cancelled");
