/** Stories of requests to object stores that do not do as they should. */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { readRange, send } from "../../src/artefacts/transfer.js";
import { TransferError } from "../../src/artefacts/transfer-error.js";

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
}

function bodyOf(length: number, read = () => [Buffer.alloc(length, 1)] as Iterable<Uint8Array>) {
  return { length, read };
}

async function failure(work: Promise<unknown>): Promise<TransferError> {
  const error = await work.then(
    () => expect.unreachable(),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(TransferError);
  return error;
}

describe("a request", () => {
  it("sends its body as it comes, and gives the answer", async () => {
    let length = 0;
    const url = await serve(async (request, response) => {
      for await (const part of request) length += part.length;
      response.writeHead(200, { ETag: '"x"' }).end("fine");
    });
    function* read() {
      for (let i = 0; i < 100; i++) yield Buffer.alloc(10_000, i);
    }
    const answer = await send({ method: "PUT", url, body: bodyOf(1_000_000, read) });
    expect(length).toBe(1_000_000);
    expect([answer.headers.etag, answer.body.toString()]).toEqual(['"x"', "fine"]);
  });

  it("sends nothing to a store that refuses it, and says what that said", async () => {
    const url = await serve(() => expect.unreachable());
    server!.on("checkContinue", (_, response) => {
      response
        .writeHead(403)
        .end("<Error><Code>AccessDenied</Code><Message>No &lt;</Message></Error>");
    });
    let isRead = false;
    const body = bodyOf(1_000_000, () => {
      isRead = true;
      return [];
    });
    const error = await failure(send({ method: "PUT", url, body }));
    expect(error).toMatchObject({ status: 403, code: "AccessDenied", passes: false });
    expect(isRead).toBe(false);
  });

  it("does not wait for ever for a store that never says whether it wants the body", async () => {
    const url = await serve(() => expect.unreachable());
    server!.on("checkContinue", async (request, response) => {
      for await (const _ of request);
      response.end();
    });
    expect((await send({ method: "PUT", url, body: bodyOf(1_000_000) })).status).toBe(200);
  });

  it("ends when nothing moves, however much is to come", async () => {
    const url = await serve((_, response) => {
      response.writeHead(206, { "Content-Length": 100 });
      response.write("half");
    });
    const error = await failure(readRange(url, 0, 100, { stallMs: 100 }));
    expect(error).toMatchObject({ status: 0, passes: true });
  });

  it("ends when a store takes no more of what is sent", async () => {
    const url = await serve((request) => void request.socket.pause());
    function* read() {
      for (let i = 0; i < 10_000; i++) yield Buffer.alloc(10_000);
    }
    const body = bodyOf(100_000_000, read);
    const error = await failure(send({ method: "PUT", url, body, stallMs: 2000 }));
    expect(error).toMatchObject({
      status: 0,
      message: expect.stringContaining("nothing has moved"),
    });
  });

  it("is told apart from one whose body could not be had", async () => {
    const url = await serve(async (request, response) => {
      for await (const _ of request.on("error", () => {}));
      response.end();
    });
    // biome-ignore lint/correctness/useYield: it fails before there is anything.
    function* read(): Generator<Uint8Array> {
      throw new RangeError("no such bytes");
    }
    await expect(send({ method: "PUT", url, body: bodyOf(10, read) })).rejects.toThrow(
      /no such bytes/,
    );
    await expect(send({ method: "PUT", url, body: bodyOf(10, () => []) })).rejects.toThrow(
      /less than/,
    );
    const more = bodyOf(10, () => [Buffer.alloc(11)]);
    await expect(send({ method: "PUT", url, body: more })).rejects.toThrow(/more than/);
  });

  it("takes no answer that is longer, shorter or other than what was asked for", async () => {
    let answer: RequestListener = () => {};
    const url = await serve((...args) => answer(...args));
    answer = (_, response) => response.writeHead(206).end(Buffer.alloc(11));
    expect((await failure(readRange(url, 0, 10))).message).toMatch(/more than 10 bytes/);
    answer = (_, response) => response.writeHead(206).end(Buffer.alloc(9));
    expect((await failure(readRange(url, 0, 10))).message).toMatch(/gave 9 bytes/);
    answer = (_, response) => response.writeHead(200).end(Buffer.alloc(10));
    expect((await failure(readRange(url, 0, 10))).message).toMatch(/with status 200/);
    answer = (_, response) => response.writeHead(302, { Location: "http://127.0.0.1:1/" }).end();
    expect(await failure(readRange(url, 0, 10))).toMatchObject({ status: 302, passes: false });
    answer = (_, response) => {
      response.writeHead(206, { "Content-Length": 10 }).write("five.");
      response.destroy();
    };
    expect(await failure(readRange(url, 0, 10))).toMatchObject({ status: 0, passes: true });
  });

  it("says who cannot be reached, and nothing that was signed", async () => {
    const url = await serve(() => {});
    server!.close();
    const error = await failure(send({ method: "GET", url: `${url}?X-Amz-Signature=abc` }));
    expect(error).toMatchObject({
      status: 0,
      message: expect.stringMatching(/^127\.0\.0\.1:\d+: /),
    });
    expect(error.message).not.toContain("abc");
    expect((await failure(send({ method: "GET", url: "file:///etc/passwd" }))).message).toMatch(
      /no protocol/,
    );
  });

  it("ends with its signal", async () => {
    const url = await serve(() => {});
    const signal = AbortSignal.timeout(50);
    await expect(send({ method: "GET", url, signal })).rejects.toBe(await reasonOf(signal));
  });
});

async function reasonOf(signal: AbortSignal): Promise<unknown> {
  if (!signal.aborted) await once(signal, "abort");
  return signal.reason;
}
