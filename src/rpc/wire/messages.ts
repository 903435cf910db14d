/**
 * The parts of rpc.capnp's messages that the tables of a connection deal in, as plain data.
 */
import type { ErrorKind } from "../errors.js";

/** A path of pointer indices from the root of a call's results (`PromisedAnswer.transform`). */
export type Path = readonly number[];

/**
 * `MessageTarget`: an import of the sender, or what an unfinished question of the sender will hold
 * at `path`.
 */
export interface WireTarget {
  readonly kind: "export" | "answer";
  /** Export id or answer id, as the receiver knows it. */
  readonly id: number;
  readonly path: Path;
}

/**
 * `CapDescriptor`. `tag` is one of `DESCRIPTOR`; of a third party's capability, `id` is the vine
 * that stands for it.
 */
export interface WireDescriptor {
  readonly tag: number;
  readonly id: number;
  readonly path: Path;
}

/** `Exception`. */
export interface WireException {
  readonly kind: ErrorKind;
  readonly reason: string;
}

export const NO_PATH: Path = [];
export const NO_DESCRIPTORS: readonly WireDescriptor[] = [];
