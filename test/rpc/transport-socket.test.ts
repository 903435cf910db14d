import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SocketTransport } from "../../src/rpc/net/transport-socket.js";

let server: Server;
/** The transport's socket, and the other end of it. */
let socket: Socket;
let peer: Socket;
let transport: SocketTransport;

beforeEach(async () => {
  // The other end may stay half open, as foreign peers may.
  server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  socket = connect(port, "127.0.0.1");
  [peer] = (await once(server, "connection")) as [Socket];
  peer.on("error", () => {});
  transport = new SocketTransport(socket, "tcp:test");
});

afterEach(() => {
  vi.useRealTimers();
  socket.destroy();
  peer.destroy();
  server.close();
});

/** Starts the transport; gives what it tells. */
function start() {
  const received: Buffer[] = [];
  let drain = () => {};
  let closes = 0;
  let close: (error: Error | undefined) => void = () => {};
  const closed = new Promise<Error | undefined>((resolve) => (close = resolve));
  transport.start({
    onData: (chunk) => received.push(Buffer.from(chunk)),
    onDrain: () => drain(),
    onClose: (error) => {
      closes++;
      close(error);
    },
  });
  return {
    received: () => Buffer.concat(received),
    drained: () => new Promise<void>((resolve) => (drain = resolve)),
    closed,
    closes: () => closes,
  };
}

async function readAll(from: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of from.resume()) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const MEGABYTE = Buffer.alloc(1_000_000, "0123456789");

describe("a socket's transport", () => {
  it("writes chunks in order, many or one", async () => {
    start();
    transport.write([Buffer.from("a"), Buffer.from("b"), Buffer.from("c")]);
    transport.write([Buffer.from("d")]);
    transport.close();
    expect(String(await readAll(peer))).toBe("abcd");
  });

  it("gives all data before the end, which it tells once", async () => {
    const told = start();
    peer.end(MEGABYTE);
    expect(await told.closed).toBeUndefined();
    expect(told.received().equals(MEGABYTE)).toBe(true);
    socket.destroy();
    await once(socket, "close");
    expect(told.closes()).toBe(1);
  });

  it("tells of an end that came before it was started", async () => {
    socket.destroy();
    await once(socket, "close");
    expect(await start().closed).toBeUndefined();
  });

  it("tells the error that ended it", async () => {
    const told = start();
    peer.resetAndDestroy();
    expect(await told.closed).toMatchObject({ code: "ECONNRESET" });
  });

  it("says when the peer is slow, how much waits, and when it goes on", async () => {
    const told = start();
    let written = 0;
    while (transport.write([MEGABYTE])) written += MEGABYTE.length;
    expect(transport.bufferedBytes).toBeGreaterThan(0);
    const drained = told.drained();
    peer.resume();
    await drained;
    expect(transport.bufferedBytes).toBe(0);
    expect(written).toBeLessThan(100 * MEGABYTE.length);
  });

  it("reads nothing while it is paused", async () => {
    const told = start();
    transport.pause();
    const all = MEGABYTE.subarray(0, 100_000); // what the system surely takes
    peer.end(all);
    await once(peer, "finish");
    expect(told.received()).toHaveLength(0);
    transport.resume();
    await told.closed;
    expect(told.received().equals(all)).toBe(true);
  });

  it("sends what is queued before it closes", async () => {
    const told = start();
    for (let i = 0; i < 10; i++) transport.write([MEGABYTE]);
    transport.close();
    transport.close();
    const all = await readAll(peer);
    expect(all).toHaveLength(10 * MEGABYTE.length);
    peer.end();
    await told.closed;
    expect(told.closes()).toBe(1);
  });

  it("gives the socket no more at a time than it encrypts in a moment, and loses nothing", async () => {
    const told = start();
    const large = Buffer.concat(Array.from({ length: 20 }, () => MEGABYTE));
    transport.write([Buffer.from("first"), large]);
    transport.write([Buffer.from("last")]);
    expect(socket.writableLength).toBeLessThanOrEqual(1024 * 1024);
    expect(transport.bufferedBytes).toBe("first".length + large.length + "last".length);
    transport.close();
    const all = await readAll(peer);
    expect(all.equals(Buffer.concat([Buffer.from("first"), large, Buffer.from("last")]))).toBe(
      true,
    );
    peer.end();
    await told.closed;
  });

  it("lets others run when what it reads keeps everybody busy", async () => {
    let turn = 0;
    const busyTurns: number[] = [];
    let received = 0;
    const count = () => {
      turn++;
      if (received < MEGABYTE.length) setImmediate(count);
    };
    count();
    await new Promise<void>((resolve) => {
      transport.start({
        onData: (chunk) => {
          received += chunk.byteLength;
          busyTurns.push(turn);
          const end = performance.now() + 11;
          while (performance.now() < end);
        },
        onDrain: () => {},
        onClose: () => resolve(),
      });
      peer.end(MEGABYTE);
    });
    expect(received).toBe(MEGABYTE.length);
    expect(busyTurns.length).toBeGreaterThan(4);
    // Before and after the count of a turn goes up.
    for (const turn of busyTurns) {
      expect(busyTurns.filter((other) => other === turn).length).toBeLessThanOrEqual(2);
    }
  });

  it("hears nothing any more once it closes", async () => {
    const told = start();
    transport.close();
    peer.end("too late");
    await told.closed;
    expect(told.received()).toHaveLength(0);
  });

  it("does not wait for ever for a peer that does not read", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const told = start();
    while (transport.write([MEGABYTE]));
    transport.close();
    vi.advanceTimersByTime(60_000);
    await told.closed;
    expect(socket.destroyed).toBe(true);
  });

  it("does not wait for a peer that has ended but does not read", async () => {
    const told = start();
    while (transport.write([MEGABYTE]));
    peer.end();
    expect(await told.closed).toBeUndefined();
  });

  it("ends at once when it is destroyed", async () => {
    const told = start();
    transport.write([MEGABYTE]);
    transport.destroy();
    await told.closed;
    transport.write([MEGABYTE]); // without effect
    expect(told.closes()).toBe(1);
  });
});
