/*
 * How builds end badly.
 */

import { EngineError } from "../docker/index.js";
import { ProgramError } from "../system/index.js";
import { quoted } from "../text/index.js";

/**
 * A step failed; the message is what the user is told, in the words of the facts this project keeps
 * to.
 */
export class BuildError extends Error {
  override readonly name = "BuildError";
}

/** A failure that the reference reports as a printed exception: `Failure("…")`. */
export function failure(text: string): BuildError {
  return new BuildError(`Failure(${quoted(text)})`);
}

/**
 * What a copy reads is not any more what its layer's id was computed from. Another asker's source
 * may still be.
 */
export class SourceChanged extends BuildError {}

/** The one who asked has cancelled. */
export class BuildCancelled extends Error {
  override readonly name = "BuildCancelled";
  constructor() {
    super("Cancelled");
  }
}

/**
 * The store, the runtime or the configuration is not fit for use; the message says what to do about
 * it.
 */
export class StoreError extends Error {
  override readonly name = "StoreError";
}

/** There is nothing by the name of a store. */
export class MissingStore extends StoreError {
  constructor(store: string) {
    super(`There is no store ${store} yet`);
  }
}

/** The cache is in use, and the store cannot take it away from its users. */
export class CacheBusy extends Error {
  override readonly name = "CacheBusy";
  constructor(cache: string) {
    super(`Cache ${quoted(cache)} is in use; try again when no build uses it`);
  }
}

/**
 * Whether the machine is at fault, not a build: its store or configuration, a program, or the
 * Docker engine.
 */
export function isMachineFailure(error: unknown): error is Error {
  return (
    error instanceof StoreError || error instanceof ProgramError || error instanceof EngineError
  );
}
