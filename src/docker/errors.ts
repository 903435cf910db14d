/*
 * What goes wrong with a Docker engine.
 */

/** The engine refused, or could not be reached. */
export class EngineError extends Error {
  override readonly name = "EngineError";

  constructor(
    message: string,
    /** In the engine's words, or the system's. */
    readonly reason: string,
    /** HTTP status; undefined if there was no answer. */
    readonly status: number | undefined,
    /** The system's code, such as `ECONNREFUSED`, if there was no answer. */
    readonly code: string | undefined,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  static refused(reason: string, status?: number, options?: ErrorOptions): EngineError {
    const message = `The Docker engine refused: ${reason}`;
    return new EngineError(message, reason, status, undefined, options);
  }

  static unreachable({ message: reason, code }: NodeJS.ErrnoException): EngineError {
    const message = `Cannot talk to the Docker engine: ${reason}; is it running, and DOCKER_HOST right?`;
    return new EngineError(message, reason, undefined, code);
  }
}

/**
 * What dockerode throws, as an `EngineError` if that is what it is about; other errors as they are.
 */
export function engineError(error: unknown): unknown {
  if (error instanceof EngineError) return error;
  const { code, json, message, statusCode } = error as NodeJS.ErrnoException & {
    readonly statusCode?: number;
    readonly json?: { readonly message?: string } | null;
  };
  if (statusCode !== undefined) {
    return EngineError.refused(json?.message ?? message.trim(), statusCode, { cause: error });
  }
  return code === undefined ? error : EngineError.unreachable(error as NodeJS.ErrnoException);
}

/** An answer of dockerode's; all errors become `EngineError`. */
export async function answer<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    const known = engineError(error);
    throw known instanceof EngineError ? known : EngineError.unreachable(error as Error);
  }
}

/** What should be the name of an image is none. */
export class ImageNameError extends Error {
  override readonly name = "ImageNameError";
}
