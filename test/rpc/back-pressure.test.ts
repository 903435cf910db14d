/**
 * Peers that do not read what they are sent: they slow down themselves, and cannot make us grow.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Connection, type Limits, method, serve, type Transport } from "../../src/rpc/index.js";
import { MessageWriter } from "../../src/rpc/wire/encode.js";
import { type Box, echo, wait } from "./support/box.js";
import { describeStream } from "./support/describe.js";
import { settle } from "./support/pair.js";

const KB = 1024;

/** A transport whose other end reads and writes when the test says so. */
class SlowWire implements Transport {
  readonly description = "slow";
  private handlers!: Parameters<Transport["start"]>[0];
  private readonly waiting: Uint8Array[] = [];
  writes = 0;
  isPaused = false;
  isClosed = false;
  mostBuffered = 0;

  get bufferedBytes(): number {
    return this.waiting.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  start(handlers: Parameters<Transport["start"]>[0]): void {
    this.handlers = handlers;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    this.writes++;
    this.waiting.push(...chunks);
    this.mostBuffered = Math.max(this.mostBuffered, this.bufferedBytes);
    return false;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  close(): void {
    this.isClosed = true;
  }

  destroy(): void {
    this.close();
  }

  deliver(chunk: Uint8Array): void {
    this.handlers.onData(chunk);
  }

  /** The other end reads everything. */
  drain(): Uint8Array {
    const bytes = Buffer.concat(this.waiting.splice(0));
    this.handlers.onDrain();
    return bytes;
  }
}

/** An object whose answers are of `bytes`, as export 0 of a connection. */
async function talkative(bytes: number, limits: Partial<Limits>) {
  const wire = new SlowWire();
  const write = new MessageWriter(() => {});
  const answers: (() => void)[] = [];
  const service = serve("talkative", [
    method(echo, (call) => {
      call.results().initData(bytes);
    }),
    method(wait, async (call) => {
      await new Promise<void>((resolve) => answers.push(resolve));
      call.results().initData(bytes);
    }),
  ]);
  const connection = new Connection(wire, { bootstrap: () => service.dup(), limits });
  write.bootstrap(0, new Uint8Array(0));
  wire.deliver(Buffer.concat(write.take()));
  await settle();
  wire.drain();
  const call = (id: number, what = echo): Uint8Array => {
    write.call(
      id,
      { kind: "export", id: 0, path: [] },
      Number(what.interfaceId >> 32n),
      Number(what.interfaceId & 0xffff_ffffn),
      what.methodId,
      undefined,
      [],
      false,
    );
    return Buffer.concat(write.take());
  };
  return { wire, connection, call, answers };
}

test("everything that is sent in one turn goes out in one piece", async () => {
  const { wire, call } = await talkative(10, {});
  wire.writes = 0;
  wire.deliver(Buffer.concat(Array.from({ length: 100 }, (_, i) => call(i + 1))));
  await settle();
  expect(wire.writes).toBe(1);
  expect(describeStream(wire.drain())).toHaveLength(100);
});

test("a peer that does not read its answers is not read from, until it does", async () => {
  const { wire, connection, call } = await talkative(10 * KB, { outboundPauseBytes: 100 * KB });
  const asked = 200;
  let answered = 0;
  for (let id = 1; id <= asked; ) {
    if (wire.isPaused) {
      expect(wire.bufferedBytes).toBeGreaterThan(100 * KB);
      answered += describeStream(wire.drain()).length;
      expect(wire.isPaused).toBe(false);
    } else {
      wire.deliver(call(id++));
      await settle();
    }
  }
  answered += describeStream(wire.drain()).length;
  expect(answered).toBe(asked);
  // What was asked for before the pause, and no more.
  expect(wire.mostBuffered).toBeLessThan(115 * KB);
  expect(connection.error).toBeUndefined();
});

describe("with a clock", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("two peers that wait for each other to read do not wait forever", async () => {
    const { wire, connection, call } = await talkative(10 * KB, { outboundPauseBytes: 15 * KB });
    wire.deliver(call(1));
    wire.deliver(call(2));
    await settle();
    expect(wire.isPaused).toBe(true);
    vi.advanceTimersByTime(1000);
    expect(wire.isPaused).toBe(false);
    // It gets one more chance, and is paused again.
    wire.deliver(call(3));
    await settle();
    expect(wire.isPaused).toBe(true);
    expect(describeStream(wire.drain())).toHaveLength(3);
    expect(wire.isPaused).toBe(false);
    expect(connection.error).toBeUndefined();
  });
});

test("answers to earlier calls that pile up nevertheless end the connection at last", async () => {
  const { wire, connection, call, answers } = await talkative(10 * KB, {
    outboundPauseBytes: 100 * KB,
    outboundAbortBytes: 300 * KB,
  });
  for (let id = 1; id <= 100; id++) wire.deliver(call(id, wait));
  await settle();
  for (const answer of answers) {
    answer();
    await settle();
  }
  expect(connection.error).toMatchObject({ kind: "disconnected" });
  expect((await connection.closed).message).toMatch(/bytes wait for the peer, which does not read/);
  expect(wire.isClosed).toBe(true);
  expect(wire.mostBuffered).toBeLessThan(330 * KB);
  expect(connection.stats()).toMatchObject({ answers: 0, exports: 0 });
});

test("new calls to a peer that does not read fail as overloaded, and others go on", async () => {
  const wire = new SlowWire();
  const connection = new Connection(wire, {
    bootstrap: () => serve("nothing", []),
    limits: { outboundCallBytes: 50 * KB },
  });
  using peer = connection.bootstrap();
  const send = () => peer.call(echo, (params: Box) => params.initData(20 * KB));
  const calls = [send(), send(), send()];
  const refused = send();
  await expect(refused.response).rejects.toMatchObject({
    kind: "overloaded",
    message: expect.stringMatching(/does not read what it is sent: more than \d+ bytes wait/),
  });
  await settle();
  expect(describeStream(wire.drain())).toHaveLength(4);
  const later = send();
  await settle();
  expect(describeStream(wire.drain())).toHaveLength(1);
  connection.close();
  for (const call of [...calls, later]) {
    await expect(call.response).rejects.toMatchObject({ kind: "disconnected" });
  }
});
