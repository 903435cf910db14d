/**
 * What a message can be addressed to at the peer: an import, or a capability in the answer to a
 * question. Either is held by counted references, so that its id stays valid as long as we may
 * still use it.
 */
import type { Path, WireDescriptor, WireTarget } from "../wire/messages.js";
import type { Answer } from "./answer.js";
import type { Export } from "./export.js";
import type { Import } from "./import.js";
import type { Question } from "./question.js";

/** Something of ours that the peer has said a promise of its own to be. */
export type LoopTarget =
  | { readonly export: Export }
  | { readonly answer: Answer; readonly path: Path };

/** A way back to us through the peer. */
export interface Loop {
  /** Where it begins: a Disembargo must be sent here to follow the calls. */
  readonly path: RemoteTarget;
  /** Where it ends. */
  readonly source: LoopTarget;
}

/** An entry that lives as long as somebody refers to it. */
export type CountedEntry = Import | Question;

export interface RemoteTarget {
  /** How messages are addressed to it. */
  readonly wire: WireTarget;
  /** How the peer is told that something is this. */
  readonly descriptor: WireDescriptor;
  /** What it turns out to be, we shall not learn or need not wait for. */
  readonly isLasting: boolean;
  /**
   * Notes that a call was sent to it: if it resolves to something here, that call is still on its
   * way back.
   */
  markUsed(): void;
  /**
   * If calls that were sent to it may still come back to us, as it has resolved to something here:
   * the way they take.
   */
  readonly loop: Loop | undefined;
  /** Whose references are counted when this is held. */
  readonly counted: CountedEntry;
  addRef(): this;
  release(): void;
}

/** For people. */
export function describeTarget({ wire }: RemoteTarget): string {
  return wire.kind === "export"
    ? `import ${wire.id}`
    : `question ${wire.id} at [${wire.path.join(" ")}]`;
}
