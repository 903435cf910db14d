/**
 * The Docker engine's API, as far as dockerode does not reach it with what is needed here: streams of JSON that are read
 * at the pace of whoever reads them.
 */
import type { Readable } from "node:stream";
import Docker from "dockerode";
import type { RegistryAuth, RegistryAuths } from "../../docker/index.js";
import { JobFailed } from "../failure.js";

/** What an engine says while it builds, pulls or pushes; one of these per line. */
export interface EngineMessage {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string; readonly code?: number };
  readonly aux?: unknown;
}

/** The longest line that is taken from an engine, in bytes. */
const MAX_LINE = 16 * 1024 * 1024;

/** The messages of a response. Throws if the connection breaks, or the response is none of JSON lines. */
export async function* engineMessages(response: Readable): AsyncGenerator<EngineMessage> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of response as AsyncIterable<Buffer>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    if (rest.length > MAX_LINE) throw new Error("The Docker engine sent a line that is too long");
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as EngineMessage;
  }
  if (rest.trim() !== "") yield JSON.parse(rest) as EngineMessage;
}

/** A message as a line of text, as `docker` prints it without a terminal: progress bars left out. */
export function progressText({
  error,
  errorDetail,
  id,
  progress,
  status,
  stream,
}: EngineMessage): string {
  if (stream !== undefined) return stream;
  const failure = errorDetail?.message ?? error;
  if (failure !== undefined) return `${failure}\n`;
  if (status === undefined || progress) return "";
  return `${id ? `${id}: ` : ""}${status}\n`;
}

/** A request whose answer is a stream. */
export interface StreamRequest {
  readonly path: string;
  readonly query: Readonly<Record<string, string | number>>;
  readonly body?: Readable;
  /** For the registry that is talked to, and for each that may be. */
  readonly auth?: RegistryAuth | undefined;
  readonly auths?: RegistryAuths;
  readonly signal: AbortSignal;
}

/**
 * Sends a request by POST and resolves with the response once it begins. Throws `JobFailed` if the engine cannot be
 * reached or refuses, and the signal's reason. When the signal is aborted the response breaks off, and the engine stops.
 */
export function postForStream(docker: Docker, request: StreamRequest): Promise<Readable> {
  const { auth, auths, body, path, query, signal } = request;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    docker.modem.dial(
      {
        method: "POST",
        path: `${path}?`,
        // Left to itself it sends the query as the body, too.
        options: { _query: query, _body: {} },
        isStream: true,
        abortSignal: signal,
        statusCodes: { 200: true },
        ...(body && { file: body }),
        ...(auth && { authconfig: { ...auth } }),
        ...(auths && { registryconfig: Object.fromEntries(auths) }),
      },
      (error: unknown, response: unknown) => {
        body?.destroy();
        if (signal.aborted) reject(signal.reason);
        else if (error) reject(engineFailure(error));
        else resolve(response as Readable);
      },
    );
  });
}

/** An error of a request to the engine in words for the client of a job; other errors as they are. */
export function engineFailure(error: unknown): unknown {
  const { code, json, message, statusCode } = error as NodeJS.ErrnoException & {
    readonly statusCode?: number;
    readonly json?: { readonly message?: string } | null;
  };
  if (statusCode !== undefined) {
    const reason = json?.message ?? message.trim();
    return new JobFailed(`The Docker engine refused: ${reason}`, { cause: error });
  }
  if (code === undefined) return error;
  const reason = code === "ENOENT" ? "it is not running" : message;
  return new JobFailed(`Cannot reach the worker's Docker engine: ${reason}`, { cause: error });
}

/** A client of the engine that `DOCKER_HOST` and the like name; by default the one of this machine. */
export function connectEngine(): Docker {
  return new Docker();
}
