/**
 * What an RPC can fail with: the four exception types of rpc.capnp, with the reason as its text.
 */

/** rpc.capnp, `Exception.Type`, in the order of their numbers on the wire. */
export const ERROR_KINDS = ["failed", "overloaded", "disconnected", "unimplemented"] as const;
export type ErrorKind = (typeof ERROR_KINDS)[number];

/**
 * What a program can act upon, more than the kind says:
 *
 * - `unreachable`: nobody takes a connection at that address
 * - `wrong-key`: somebody does, but is not whom the sturdy ref names
 * - `unknown-service`: the vat has no service with the sturdy ref's secret
 * - `wrong-interface`: the object is of another type than the call's. (A missing method of a known
 *   interface is not that.)
 */
export type ErrorCode = "unreachable" | "wrong-key" | "unknown-service" | "wrong-interface";

/**
 * The wire has kinds and reasons, no codes. These reasons are said by our vats, and by the
 * reference's.
 */
const REASONS: readonly { kind: ErrorKind; reason: RegExp; code: ErrorCode }[] = [
  { kind: "failed", reason: /Unknown persistent service ID/, code: "unknown-service" },
  { kind: "unimplemented", reason: /^Unknown interface/, code: "wrong-interface" },
];

export interface RpcErrorOptions extends ErrorOptions {
  readonly code?: ErrorCode;
}

/**
 * A failure that crosses the wire. `message` is the bare reason; `toString()` is what users see:
 * `Failed: REASON`.
 */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly #code: ErrorCode | undefined;

  constructor(
    readonly kind: ErrorKind,
    reason: string,
    options?: RpcErrorOptions,
  ) {
    super(reason, options);
    this.#code = options?.code;
  }

  override toString(): string {
    return `${this.kind[0]!.toUpperCase()}${this.kind.slice(1)}: ${this.message}`;
  }

  /** As it was made here, or else as a peer's reason means. */
  get code(): ErrorCode | undefined {
    if (this.#code !== undefined) return this.#code;
    const { kind, message } = this;
    return REASONS.find((each) => each.kind === kind && each.reason.test(message))?.code;
  }

  /** Any thrown value as an `RpcError`; what is none becomes "failed" with its message. */
  static from(error: unknown): RpcError {
    if (error instanceof RpcError) return error;
    return new RpcError("failed", error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  }
}

/**
 * A capability file that cannot be used. The message names the file, what is wrong with it and what
 * to do.
 */
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
