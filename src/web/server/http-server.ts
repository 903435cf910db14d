/**
 * The HTTP server: who may come in, and what all answers have in common.
 *
 * A request passes, in this order: the name by which it calls us; where its page is from; what is
 * open to all (the page itself, exchanging a secret); the session; and its handler, which checks
 * what the session may see.
 */
import {
  createServer as createPlainServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { addressOf } from "./address.js";
import { Events } from "./api-events.js";
import { enter } from "./api-session.js";
import { ApiError } from "./errors.js";
import { checkHost, checkOrigin, type Names, SECURITY_HEADERS } from "./guard.js";
import type { Call, Reply } from "./http.js";
import { WEB_LIMITS } from "./limits.js";
import type { Router } from "./router.js";
import { type Handler, routes } from "./routes.js";
import type { Session } from "./sessions.js";
import type { StaticFiles } from "./static-files.js";
import type { Credentials } from "./tls-files.js";
import type { Web } from "./web.js";

const SERVER_OPTIONS: ServerOptions = {
  maxHeaderSize: WEB_LIMITS.headerBytes,
  headersTimeout: WEB_LIMITS.headersMs,
  requestTimeout: WEB_LIMITS.requestMs,
  connectionsCheckingInterval: 5000,
  keepAliveTimeout: 30_000,
};

/** A socket on which nothing moves for so long is closed, in ms; streams have their heartbeats. */
const IDLE_MS = 120_000;

/** Characters of JSON from which on it is sent compressed to who likes that. */
const COMPRESSED_FROM = 8 * 1024;

export interface HttpServerOptions {
  readonly web: Web;
  readonly files: StaticFiles;
  /** The text of docs/openapi.yaml. */
  readonly openapi: string;
  /** Undefined: without TLS. */
  readonly credentials: Credentials | undefined;
  names(): Names;
  /** A proxy on this machine may stand before it. */
  readonly hasProxy: boolean;
}

export class HttpServer {
  readonly server: Server | TlsServer;
  private readonly router: Router<Handler>;
  private readonly events: Events;

  constructor(private readonly options: HttpServerOptions) {
    const { credentials, web } = options;
    this.events = new Events(web);
    this.router = routes(web, this.events);
    const listener = (request: IncomingMessage, response: ServerResponse) =>
      void this.answer(request, response);
    this.server = credentials
      ? createTlsServer({ ...SERVER_OPTIONS, ...usable(credentials) }, listener)
      : createPlainServer(SERVER_OPTIONS, listener);
    this.server.maxConnections = WEB_LIMITS.connections;
    this.server.timeout = IDLE_MS;
    this.server.on("clientError", (_: Error, socket: Socket) => {
      if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
      else socket.destroy();
    });
  }

  /** Takes other credentials for connections from now on. */
  renew(credentials: Credentials): void {
    if ("setSecureContext" in this.server) this.server.setSecureContext(usable(credentials));
  }

  /** Ends the streams of sessions that are over, at once. */
  endStreams(): void {
    this.events.endUnwelcome();
  }

  close(): void {
    this.events.close();
    this.server.close();
    this.server.closeAllConnections();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { web } = this.options;
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    let reply: Reply | null;
    try {
      reply = await this.reply(request, response);
    } catch (error) {
      if (response.headersSent || response.destroyed) {
        response.destroy();
        return;
      }
      if (!(error instanceof ApiError)) {
        const { message, stack } = error instanceof Error ? error : { message: String(error) };
        web.options.log.error(
          `Cannot answer ${request.method} ${request.url}: ${stack ?? message}`,
        );
      }
      const told = error instanceof ApiError ? error : INTERNAL;
      reply = { status: told.status, body: told.body, headers: told.headers };
    }
    if (reply) await this.send(request, response, reply);
  }

  private async reply(request: IncomingMessage, response: ServerResponse): Promise<Reply | null> {
    const { files, hasProxy, names, openapi, web } = this.options;
    checkHost(request, names());
    const [path = "", search = ""] = splitOnce(request.url ?? "", "?");
    const method = request.method ?? "";
    const over = new AbortController();
    response.once("close", () => over.abort());
    const call: Call = {
      ...{ request, response, headers: request.headers, params: {} },
      query: new URLSearchParams(search),
      address: addressOf(request, hasProxy),
      signal: over.signal,
    };
    if (path === "/healthz") return { status: 200, body: { ok: true } };
    if (path !== "/api" && !path.startsWith("/api/")) {
      files.send(call, path);
      return null;
    }
    if (path === "/api/v1/openapi.yaml") {
      const type = {
        "Content-Type": "application/yaml; charset=utf-8",
        "Cache-Control": "no-cache",
      };
      response.writeHead(200, type).end(method === "HEAD" ? undefined : openapi);
      return null;
    }
    const session = this.session(call);
    checkOrigin(request, names(), session?.isAmbient ?? true);
    if (method === "POST" && path === "/api/v1/session") return await enter(web, call, session);
    if (!session) throw NO_SESSION;
    const { handler, params } = this.router.find(method, path);
    const reply = await handler({ ...call, params, session });
    // What it was answered with may be another capability's.
    if (web.options.sessions.isReplaced(session)) throw NO_SESSION;
    return reply;
  }

  /** Null: none. Throws an `ApiError` if a token is none, or an address was wrong too often. */
  private session({ address, headers }: Call): Session | null {
    const { attempts, options } = this.options.web;
    const { authorization, cookie } = headers;
    if (authorization !== undefined) {
      const [, token = ""] = /^Bearer +(\S+)$/i.exec(authorization) ?? [];
      const session = options.sessions.find(token, "token");
      if (session) return session;
      attempts.wrong(address);
      throw new ApiError(
        "bad_secret",
        "The token is none, or has expired: `ocluster-web -c FILE --token` prints one.",
        { "WWW-Authenticate": 'Bearer error="invalid_token"' },
      );
    }
    for (const part of cookie?.split(";") ?? []) {
      const [name, value = ""] = splitOnce(part.trim(), "=");
      if (name === options.cookie.name) return options.sessions.find(value, "session");
    }
    return null;
  }

  private async send(
    request: IncomingMessage,
    response: ServerResponse,
    { body, headers, status }: Reply,
  ): Promise<void> {
    for (const [name, value] of Object.entries(headers ?? {})) response.setHeader(name, value);
    response.setHeader("Cache-Control", "no-store");
    // What was not read of the request would be taken for the next one.
    if (!request.complete) response.setHeader("Connection", "close");
    if (body === undefined) {
      response.writeHead(status).end();
      return;
    }
    response.setHeader("Content-Type", "application/json; charset=utf-8");
    response.setHeader("Vary", "Accept-Encoding");
    const text = JSON.stringify(body);
    const isCompressed =
      text.length >= COMPRESSED_FROM && /\bgzip\b/.test(String(request.headers["accept-encoding"]));
    const bytes = isCompressed ? await compress(text, { level: 1 }) : Buffer.from(text);
    if (isCompressed) response.setHeader("Content-Encoding", "gzip");
    response.setHeader("Content-Length", bytes.length);
    response.writeHead(status).end(request.method === "HEAD" ? undefined : bytes);
  }
}

const compress = promisify<string, { level: number }, Buffer>(gzip);

const INTERNAL = new ApiError(
  "internal",
  "Something went wrong in ocluster-web: its log has more. Please report it.",
);

const NO_SESSION = new ApiError(
  "no_session",
  "You are not signed in, or not any more: ask whoever runs this for a link; `ocluster-web -c FILE --link` prints one.",
  { "WWW-Authenticate": "Bearer" },
);

function usable({ cert, key }: Credentials) {
  return { cert, key, minVersion: "TLSv1.2" as const };
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
