/**
 * What the HTTP API says no with: a status, a code for programs and a sentence for people, which
 * ends with the next step.
 */
import { RpcError } from "../../rpc/index.js";

const STATUS = {
  bad_request: 400,
  no_session: 401,
  bad_secret: 401,
  link_used: 401,
  link_expired: 401,
  forbidden: 403,
  not_in_scope: 403,
  bad_origin: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  bad_range: 416,
  bad_host: 421,
  too_many: 429,
  internal: 500,
  unsupported: 501,
  scheduler_down: 503,
} as const;

export type ApiCode = keyof typeof STATUS;

export class ApiError extends Error {
  override readonly name = "ApiError";
  /** Of HTTP. */
  readonly status: number;

  /** @param headers such as `Retry-After`, in seconds */
  constructor(
    readonly code: ApiCode,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = STATUS[code];
  }

  get body() {
    return { error: { code: this.code, message: this.message } };
  }
}

export function badRequest(message: string): ApiError {
  return new ApiError("bad_request", message);
}

export function tooMany(message: string, seconds: number): ApiError {
  return new ApiError("too_many", message, { "Retry-After": String(Math.ceil(seconds)) });
}

/** What our schedulers say to whoever uses a capability that was taken away. */
export function isRevoked(error: unknown): boolean {
  return error instanceof RpcError && error.message === "Access has been revoked";
}

/**
 * Any thrown value as an answer. @param refused what the scheduler's "no" means: that there is no
 * such thing, or that it may not be changed so now
 */
export function toApiError(error: unknown, refused: "not_found" | "conflict"): unknown {
  if (!(error instanceof RpcError)) return error;
  switch (error.kind) {
    case "disconnected":
      return schedulerDown(error.message);
    case "unimplemented":
      return new ApiError(
        "unsupported",
        "The scheduler is too old for this, or not of this project: update it.",
      );
    case "overloaded":
      return tooMany(sentence(error.message), 5);
    case "failed":
      if (isRevoked(error)) {
        return new ApiError("forbidden", "Access was revoked: ask the scheduler's operator.");
      }
      return new ApiError(refused, sentence(error.message));
  }
}

export function schedulerDown(reason: string | null): ApiError {
  const why = reason === null ? "" : ` (${reason})`;
  return new ApiError("scheduler_down", `The scheduler is away${why}: try again in a moment.`, {
    "Retry-After": "2",
  });
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
