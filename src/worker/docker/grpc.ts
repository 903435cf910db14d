/**
 * As much of gRPC as a BuildKit session needs: the server of one connection, whose methods take and
 * give messages as bytes.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 *
 * @grpc/grpc-js would not do. BuildKit sends each pattern and each path as a header of its own:
 * that library refuses calls with more than 128, as HTTP/2 of Node does by default, and gives
 * repeated ones as one text joined by commas.
 */
import { once } from "node:events";
import {
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";

export const GRPC_STATUS = {
  ok: 0,
  unknown: 2,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
} as const;

/** What a call fails with at the peer. */
export class GrpcError extends Error {
  override readonly name = "GrpcError";

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface GrpcCall {
  /**
   * What the peer sends. The peer is kept waiting meanwhile. Throws `GrpcError` for what is no
   * gRPC.
   */
  readonly messages: AsyncIterable<Buffer>;
  /** Aborted when the call is over: cancelled, or the connection is lost. */
  readonly signal: AbortSignal;
  /** The values of a header, in order. */
  header(name: string): string[];
  /** Resolves when there is room for another message. Throws once the call is over. */
  send(message: Uint8Array): Promise<void>;
}

/** The call ends well when this resolves. Errors go to the peer. */
export type GrpcMethod = (call: GrpcCall) => Promise<void>;

/** A method that takes one message and gives one. */
export function unary(answer: (request: Buffer) => Promise<Uint8Array> | Uint8Array): GrpcMethod {
  return async (call) => {
    for await (const request of call.messages) {
      await call.send(await answer(request));
      return;
    }
    throw new GrpcError(GRPC_STATUS.unknown, "A call without a message");
  };
}

/** The longest message that is taken. All that an engine sends are ids, names and numbers. */
const MAX_MESSAGE = 1024 * 1024;

/**
 * The most headers of a call, and their length in bytes; nghttp2 takes no more than some 140 KB at
 * once anyway.
 */
const MAX_HEADERS = 10_000;
const MAX_HEADER_LIST = 1024 * 1024;

/**
 * Answers calls from the other end of `socket`, by the paths of methods. The result ends the
 * connection and its calls.
 */
export function serveGrpc(
  socket: Duplex,
  methods: ReadonlyMap<string, GrpcMethod>,
): { close(): void } {
  const server = createServer({
    maxHeaderListPairs: MAX_HEADERS,
    settings: { maxHeaderListSize: MAX_HEADER_LIST },
  });
  let session: ServerHttp2Session | undefined;
  server.once("session", (opened) => {
    session = opened;
  });
  // What is lost with the connection, its calls see.
  server.on("sessionError", () => {});
  server.on("stream", (...[stream, headers, , rawHeaders]: StreamEvent) => {
    void serveCall(stream, headers, rawHeaders, methods);
  });
  server.emit("connection", socket);
  return {
    close() {
      session?.destroy();
      socket.destroy();
    },
  };
}

/** The last is not in its types: names and values of all headers, in turns. */
type StreamEvent = [ServerHttp2Stream, IncomingHttpHeaders, flags: number, raw: string[]];

async function serveCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  methods: ReadonlyMap<string, GrpcMethod>,
): Promise<void> {
  const over = new AbortController();
  stream.once("close", () => over.abort());
  // Its end is enough to know.
  stream.on("error", () => {});
  let status: number = GRPC_STATUS.ok;
  let message = "";
  stream.once("wantTrailers", () => {
    stream.sendTrailers({ "grpc-status": String(status), "grpc-message": percentEncoded(message) });
  });
  stream.respond(
    { [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc" },
    { waitForTrailers: true },
  );
  try {
    const path = String(headers[constants.HTTP2_HEADER_PATH]);
    const method = methods.get(path);
    if (!method) throw new GrpcError(GRPC_STATUS.unimplemented, `There is no method ${path}`);
    await method({
      messages: messagesOf(stream),
      signal: over.signal,
      header: (name) => headerValues(rawHeaders, name),
      send: (data) => send(stream, data, over.signal),
    });
  } catch (error) {
    status = error instanceof GrpcError ? error.status : GRPC_STATUS.unknown;
    message = (error as Error).message;
  }
  stream.resume(); // Whatever else comes is of no interest.
  stream.end();
}

/** Headers are sent as bytes and arrive as Latin-1. */
function headerValues(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i] === name) values.push(Buffer.from(rawHeaders[i + 1]!, "latin1").toString());
  }
  return values;
}

/**
 * Each message comes behind a byte that says whether it is compressed, and four with its length.
 */
const PREFIX = 5;

async function* messagesOf(stream: ServerHttp2Stream): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  // The stream is needed for the answer, whenever this ends.
  const chunks = stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= PREFIX) {
      if (rest[0] !== 0) {
        throw new GrpcError(GRPC_STATUS.unimplemented, "Compressed messages are not understood");
      }
      const end = PREFIX + rest.readUInt32BE(1);
      if (end - PREFIX > MAX_MESSAGE) {
        throw new GrpcError(GRPC_STATUS.resourceExhausted, "The message is too long");
      }
      if (rest.length < end) break;
      yield rest.subarray(PREFIX, end);
      rest = rest.subarray(end);
    }
  }
}

async function send(
  stream: ServerHttp2Stream,
  message: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const prefix = Buffer.alloc(PREFIX);
  prefix.writeUInt32BE(message.length, 1);
  if (!stream.write(Buffer.concat([prefix, message]))) await once(stream, "drain", { signal });
}

function percentEncoded(text: string): string {
  return Buffer.from(text)
    .toString("latin1")
    .replace(/[^ -$&-~]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
