/**
 * Requests and answers: what handlers are given, and what they give.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { ApiError, badRequest } from "./errors.js";
import { WEB_LIMITS } from "./limits.js";
import type { Body } from "./query.js";
import type { Session } from "./sessions.js";

/** A request, as far as it was checked. */
export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Parts of the path that have names, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  /** Of who asks, for limits. */
  readonly address: string;
  /** Where the answer goes is gone. */
  readonly signal: AbortSignal;
}

/** A request of somebody who may come in. */
export interface KnownCall extends Call {
  readonly session: Session;
}

/** An answer as JSON; null: it has been given, or is being given. */
export interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export function ok(body: unknown): Reply {
  return { status: 200, body };
}

/** The object in a request's body. Throws an `ApiError`. */
export async function readBody(request: IncomingMessage): Promise<Body> {
  const type = request.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw badRequest("Send JSON: Content-Type: application/json.");
  }
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > WEB_LIMITS.bodyBytes) {
      throw new ApiError("too_large", `Send ${WEB_LIMITS.bodyBytes} bytes at most.`);
    }
    parts.push(part);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(parts).toString());
  } catch {
    throw badRequest("The body is no JSON: send an object, {} at least.");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badRequest("The body is no object: send {} at least.");
  }
  return value as Body;
}

/**
 * Sends what `chunks` gives, as fast as it is read. An error on the way cuts it off, so that
 * nobody takes a part for the whole.
 */
export async function stream(
  { request, response }: Pick<Call, "request" | "response">,
  headers: Readonly<Record<string, string | number>>,
  chunks: AsyncIterable<Uint8Array>,
  status = 200,
): Promise<void> {
  response.writeHead(status, headers);
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  try {
    for await (const chunk of chunks) {
      if (response.destroyed) return;
      if (!response.write(chunk)) await drained(response);
    }
    response.end();
  } catch {
    response.destroy();
  }
}

/** Rejects when nobody reads for too long, or at all. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error) => {
      clearTimeout(timer);
      response.off("drain", done);
      response.off("close", gone);
      if (error) reject(error);
      else resolve();
    };
    const gone = () => done(new Error("The reader has gone"));
    const timer = setTimeout(() => done(new Error("The reader does not read")), WEB_LIMITS.stallMs);
    response.once("drain", done);
    response.once("close", gone);
  });
}

/** `attachment; filename=…` of a name that may be anything. */
export function attachment(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9._-]/g, "_").slice(-100);
  const encoded = encodeURIComponent(name.replace(LONE, "\ufffd").slice(-200)).replace(
    /['()*]/g,
    percent,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}

/** Halves of a surrogate pair. */
const LONE = /\p{Surrogate}/gu;

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
