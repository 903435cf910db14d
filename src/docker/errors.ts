/*
 * What goes wrong with a Docker engine.
 */

/** The engine refused, or could not be reached. */
export class EngineError extends Error {
  override readonly name = "EngineError";

  constructor(
    message: string,
    /** HTTP status; undefined if there was no answer. */
    readonly status: number | undefined,
  ) {
    super(message);
  }
}

/** What should be the name of an image is none. */
export class ImageNameError extends Error {
  override readonly name = "ImageNameError";
}
