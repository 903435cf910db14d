/**
 * What an RPC can fail with: the four exception types of rpc.capnp, with the reason as its text.
 */

/** rpc.capnp, `Exception.Type`, in the order of their numbers on the wire. */
export const ERROR_KINDS = ["failed", "overloaded", "disconnected", "unimplemented"] as const;
export type ErrorKind = (typeof ERROR_KINDS)[number];

/** A failure that crosses the wire. `message` is the bare reason; `toString()` is what users see: `Failed: REASON`. */
export class RpcError extends Error {
  override readonly name = "RpcError";

  constructor(
    readonly kind: ErrorKind,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(reason, options);
  }

  override toString(): string {
    return `${this.kind[0]!.toUpperCase()}${this.kind.slice(1)}: ${this.message}`;
  }

  /** The object is of another type than the call's, if it is said so. (A missing method of a known interface is not that.) */
  get isWrongInterface(): boolean {
    return this.kind === "unimplemented" && this.message.startsWith("Unknown interface");
  }

  /** Any thrown value as an `RpcError`; what is none becomes "failed" with its message. */
  static from(error: unknown): RpcError {
    if (error instanceof RpcError) return error;
    return new RpcError("failed", error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  }
}

/** A capability file that cannot be used. The message names the file, what is wrong with it and what to do. */
export class CapFileError extends Error {
  override readonly name = "CapFileError";

  constructor(
    readonly path: string,
    readonly problem: "missing" | "unreadable" | "malformed" | "unwritable",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
