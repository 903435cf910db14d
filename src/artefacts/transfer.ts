/**
 * Bytes to and from an object store by URLs that were signed elsewhere: whoever has one needs
 * nothing else, and can do with it that one thing, for minutes.
 *
 * A URL is no promise of a good peer. Answers have bounds; nothing is followed to where else a
 * store may point; and a connection over which nothing moves ends, whatever is to come yet.
 */
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request } from "node:http";
import { Agent as HttpsAgent, request as secureRequest } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Backoff, sleep } from "../async/index.js";
import { TransferError } from "./transfer-error.js";

/** A connection over which nothing has moved for so long is lost, in ms. */
export const STALL_MS = 30_000;

/** However slowly something moves, one request takes no longer, in ms. */
const LONGEST_MS = 3_600_000;

/** How long a store may take to say that it wants what is to come, in ms; some never say so. */
const CONTINUE_MS = 1000;

/** What is shorter is sent without asking. */
const WORTH_ASKING = 256 * 1024;

/** Bytes of an answer that is read for what it says; lists of a store's have a few hundred KiB. */
const MAX_ANSWER = 4 * 1024 ** 2;

/** Characters of what a store says that are shown to people. */
const MAX_SAID = 200;

/** How often something is tried before it is told. */
const TRIES = 4;
const PAUSES = { minMs: 500, maxMs: 8000 };

const AGENTS = {
  "http:": new HttpAgent({ keepAlive: true, maxFreeSockets: 16 }),
  "https:": new HttpsAgent({ keepAlive: true, maxFreeSockets: 16 }),
};

/** An answer that was read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** What is sent: bytes of exactly that length. */
export interface Body {
  readonly length: number;
  /** Read once for each request. */
  read(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface SendOptions {
  readonly method: "GET" | "PUT" | "POST" | "DELETE" | "HEAD";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body;
  /** See `STALL_MS`. */
  readonly stallMs?: number;
  /** Bytes that the answer may have. */
  readonly maxAnswer?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Sends a request, and gives the answer if its status is 2xx. Rejects with a `TransferError`, with
 * what `body` throws, and with the signal's reason.
 */
export async function send(options: SendOptions): Promise<Answer> {
  const answer = await sendOnce(options);
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw refusal(answer);
}

/** As `send`, once more after a pause if that may help, a few times. */
export async function sendPatiently(options: SendOptions): Promise<Answer> {
  return await patiently(() => send(options), options.signal);
}

/** Does it once more after a pause for as long as that may help, a few times. */
export async function patiently<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const backoff = new Backoff(undefined, undefined, PAUSES);
  for (let tries = 1; ; tries++) {
    backoff.attempt();
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof TransferError) || !error.passes || tries === TRIES) throw error;
      await sleep(backoff.failed(), signal);
    }
  }
}

/** Bytes `start` to `start + length` of what is at a URL; all of them, or it rejects as `send`. */
export async function readRange(
  url: string,
  start: number,
  length: number,
  options: Pick<SendOptions, "signal" | "stallMs"> = {},
): Promise<Buffer> {
  const range = `bytes=${start}-${start + length - 1}`;
  const answer = await send({
    ...options,
    method: "GET",
    url,
    headers: { Range: range },
    maxAnswer: length,
  });
  // Without 206 it would be something else than was asked for.
  if (answer.status === 206 && answer.body.length === length) return answer.body;
  throw new TransferError(
    answer.status === 206 ? 0 : answer.status,
    "",
    `the store gave ${answer.body.length} bytes with status ${answer.status} when asked for ${length}`,
  );
}

async function sendOnce(options: SendOptions): Promise<Answer> {
  const { body, method, signal, stallMs = STALL_MS, url } = options;
  signal?.throwIfAborted();
  const target = new URL(url);
  const asks = body !== undefined && body.length >= WORTH_ASKING;
  const open = target.protocol === "https:" ? secureRequest : request;
  const agent = AGENTS[target.protocol as keyof typeof AGENTS];
  if (!agent)
    throw new TransferError(0, "", `${target.protocol} is no protocol of an object store`);
  const sent = open(target, {
    method,
    agent,
    // From the first packet on: `setTimeout` below counts once there is a connection.
    timeout: stallMs,
    headers: {
      ...options.headers,
      ...(body && { "Content-Length": String(body.length) }),
      ...(asks && { Expect: "100-continue" }),
    },
  });
  const giveUp = (why: string) => sent.destroy(new Error(why));
  const stop = () => giveUp("it is not wanted any more");
  const tooLong = setTimeout(giveUp, LONGEST_MS, `it took longer than ${LONGEST_MS / 60_000} min`);
  sent.setTimeout(stallMs, () => giveUp(`nothing has moved for ${stallMs / 1000} s`));
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return await exchanged(sent, body, asks, options.maxAnswer ?? MAX_ANSWER);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof BodyFailed) throw error.cause;
    throw new TransferError(0, "", `${target.host}: ${reasonOf(error)}`, { cause: error });
  } finally {
    clearTimeout(tooLong);
    signal?.removeEventListener("abort", stop);
    // A body that nobody wants to its end leaves the connection in the middle of it.
    if (!sent.writableFinished) sent.destroy();
  }
}

/** What was to be sent could not be had. */
class BodyFailed extends Error {
  constructor(override readonly cause: unknown) {
    super();
  }
}

async function exchanged(
  sent: ClientRequest,
  body: Body | undefined,
  asks: boolean,
  maxAnswer: number,
): Promise<Answer> {
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    sent.once("response", resolve);
    sent.on("error", reject);
  });
  answered.catch(() => {});
  if (!body) {
    sent.end();
  } else {
    // A store that refuses says so before it is sent all that it refuses.
    const isRefused = asks && (await wanted(sent, answered)) === "answered";
    if (!isRefused) {
      const writing = writeBody(sent, body);
      writing.catch(() => {});
      await Promise.race([writing, answered]).catch(async (error) => {
        // A store that ends the connection may have said why.
        if (error instanceof BodyFailed) throw error;
      });
    }
  }
  return await readAnswer(await answered, maxAnswer);
}

/** Waits until the store wants the body, has answered without, or says nothing. */
async function wanted(
  sent: ClientRequest,
  answered: Promise<unknown>,
): Promise<"wanted" | "answered"> {
  sent.flushHeaders();
  let timer: NodeJS.Timeout | undefined;
  const told = new Promise<"wanted">((resolve) => {
    sent.once("continue", () => resolve("wanted"));
    // From when there is a connection.
    sent.once("socket", () => {
      timer = setTimeout(resolve, CONTINUE_MS, "wanted");
    });
  });
  try {
    return await Promise.race([told, answered.then(() => "answered" as const)]);
  } finally {
    clearTimeout(timer);
  }
}

async function writeBody(sent: ClientRequest, body: Body): Promise<void> {
  let failure: BodyFailed | undefined;
  async function* counted(): AsyncGenerator<Uint8Array> {
    let length = 0;
    try {
      for await (const data of body.read()) {
        length += data.length;
        if (length > body.length) throw new RangeError("There is more than was said");
        yield data;
      }
      if (length < body.length) throw new RangeError("There is less than was said");
    } catch (error) {
      failure = new BodyFailed(error);
      throw failure;
    }
  }
  try {
    await pipeline(Readable.from(counted(), { objectMode: false }), sent);
  } catch (error) {
    throw failure ?? error;
  }
}

async function readAnswer(message: IncomingMessage, maxAnswer: number): Promise<Answer> {
  const parts: Buffer[] = [];
  let length = 0;
  const isGood = (message.statusCode ?? 0) < 300;
  const limit = isGood ? maxAnswer : MAX_ANSWER;
  for await (const part of message as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > limit) {
      message.destroy();
      throw new Error(`its answer has more than ${limit} bytes`);
    }
    parts.push(part);
  }
  return {
    status: message.statusCode ?? 0,
    headers: message.headers,
    body: Buffer.concat(parts, length),
  };
}

function refusal({ body, status }: Answer): TransferError {
  const text = body.toString("utf8", 0, 8192);
  const code = /<Code>([A-Za-z0-9.]{1,100})<\/Code>/.exec(text)?.[1] ?? "";
  const [, said = ""] = /<Message>([^<]{1,1000})<\/Message>/.exec(text) ?? [];
  const words = [code, said.slice(0, MAX_SAID)].filter((word) => word !== "").join(": ");
  return new TransferError(status, code, `status ${status}${words === "" ? "" : ` (${words})`}`);
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
