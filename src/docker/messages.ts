/**
 * What a Docker engine says while it builds, pulls or pushes: lines of JSON, read at the pace of
 * whoever reads them.
 */
import type { Readable } from "node:stream";

/** One line. */
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

/**
 * The messages of a response. Throws if the connection breaks, or the response is none of JSON
 * lines.
 */
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

/**
 * A message as a line of text, as `docker` prints it without a terminal: progress bars left out.
 */
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
