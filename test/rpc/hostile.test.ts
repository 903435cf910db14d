/**
 * Peers that follow the protocol to the letter and mean harm by it: whatever can be made to grow or
 * to nest has a limit, and who goes over it loses the connection, with the reason.
 */
import { afterEach, expect, test } from "vitest";
import {
  type Capability,
  Connection,
  type Limits,
  memoryTransportPair,
  method,
  promiseCapability,
  RpcError,
  serve,
} from "../../src/rpc/index.js";
import { Content } from "../../src/rpc/wire/content.js";
import { MessageWriter } from "../../src/rpc/wire/encode.js";
import { DESCRIPTOR } from "../../src/rpc/wire/layout.js";
import { NO_PATH, type WireDescriptor } from "../../src/rpc/wire/messages.js";
import { Box, boxMethod, put } from "./support/box.js";
import { connect, expectNothingLeft, NOTHING, refuse, settle } from "./support/pair.js";

/** A connection of ours, and its peer as nothing but messages. */
class Hostile {
  readonly write = new MessageWriter(() => {});
  readonly connection: Connection;
  private readonly transport;

  constructor(bootstrap: () => Capability, limits: Partial<Limits> = {}) {
    const [ours, theirs] = memoryTransportPair();
    this.transport = theirs;
    this.connection = new Connection(ours, { bootstrap, limits });
    theirs.start({ onData() {}, onDrain() {}, onClose() {} });
  }

  async send(): Promise<void> {
    this.transport.write(this.write.take());
    await settle();
  }

  /**
   * Calls `put` on the answer to question 0, with `capabilities`, of which the first is at
   * `Box.CAP`.
   */
  put(question: number, capabilities: readonly WireDescriptor[]): void {
    const root = new Uint32Array(2 * (1 + 1 + 6));
    root[1] = 1 | (6 << 16);
    root.set([3, 0], 2 * (1 + 1 + Box.CAP));
    this.write.call(
      question,
      { kind: "answer", id: 0, path: NO_PATH },
      Number(put.interfaceId >> 32n),
      Number(put.interfaceId & 0xffff_ffffn),
      put.methodId,
      new Content(root.buffer, root.byteLength),
      capabilities,
      false,
    );
  }
}

function promise(id: number): WireDescriptor {
  return { tag: DESCRIPTOR.senderPromise, id, path: NO_PATH };
}

const held: Capability[] = [];

afterEach(() => {
  for (const capability of held.splice(0)) capability.release();
});

/** An object that keeps what it is given. */
function keeper(): Capability {
  return serve("keeper", [method(put, (call) => void held.push(call.capability(Box.CAP)))]);
}

test("a peer that never finishes its questions", async () => {
  const peer = new Hostile(refuse, { unfinishedAnswers: 10 });
  for (let id = 0; id < 10; id++) peer.write.bootstrap(id, Uint8Array.of(1));
  await peer.send();
  expect(peer.connection.stats()).toMatchObject({ answers: 10, callsInFlight: 0 });
  peer.write.bootstrap(10, Uint8Array.of(1));
  await peer.send();
  expect(peer.connection.error?.message).toBe("more than 10 unfinished answers on one connection");
  expect(peer.connection.stats()).toEqual(NOTHING);
});

test("a promise that turns into a promise that turns into a promise", async () => {
  const peer = new Hostile(keeper, { promiseSteps: 5 });
  peer.write.bootstrap(0, new Uint8Array(0));
  peer.put(1, [promise(0)]);
  for (let id = 0; id < 5; id++) peer.write.resolve(id, promise(id + 1));
  await peer.send();
  expect(peer.connection.error).toBeUndefined();
  expect(peer.connection.stats()).toMatchObject({ imports: 1 });
  peer.write.resolve(5, promise(6));
  await peer.send();
  expect(peer.connection.error?.message).toBe(
    "more than 5 promises for promises on one connection",
  );
});

test("more capabilities in a message than anybody needs", async () => {
  const peer = new Hostile(keeper);
  peer.write.bootstrap(0, new Uint8Array(0));
  peer.put(
    1,
    Array.from({ length: 20_000 }, () => promise(0)),
  );
  await peer.send();
  expect(peer.connection.error?.message).toBe(
    "20000 capabilities in a message are over the limit of 16384",
  );
});

test("more pointers in a message than anybody has time for", async () => {
  const pointers = (count: number) => {
    const words = new Uint32Array(2 * (1 + count));
    words.set([1, 6 | (count << 3)]); // a list of pointers, all null
    return new Content(words.buffer, words.byteLength);
  };
  const peer = new Hostile(keeper, { pointers: 1000 });
  peer.write.bootstrap(0, new Uint8Array(0));
  const target = { kind: "answer", id: 0, path: NO_PATH } as const;
  peer.write.call(1, target, 0, 0, 0, pointers(1000), [], false);
  await peer.send();
  expect(peer.connection.error).toBeUndefined();
  peer.write.call(2, target, 0, 0, 0, pointers(1001), [], false);
  await peer.send();
  expect(peer.connection.error?.message).toBe("too many pointers");
});

test("a large message of a peer that was refused, or has not asked yet", async () => {
  const limits = { strangerMessageBytes: 1000, messageBytes: 3000 };
  const large = (peer: Hostile) => peer.write.bootstrap(1, new Uint8Array(2000));
  const stranger = new Hostile(refuse, limits);
  stranger.write.bootstrap(0, Uint8Array.of(1));
  large(stranger);
  await stranger.send();
  expect(stranger.connection.error?.message).toMatch(/^a message of 20.. bytes is over .* 1000$/);

  const friend = new Hostile(keeper, limits);
  friend.write.bootstrap(0, Uint8Array.of(1));
  large(friend);
  await friend.send();
  expect(friend.connection.error).toBeUndefined();

  const asked = new Hostile(refuse, limits);
  using _ = asked.connection.bootstrap();
  large(asked);
  await asked.send();
  expect(asked.connection.error).toBeUndefined();
});

const next = boxMethod(0);

/** Makes a call on the answer to a call on the answer… Gives all that is held then. */
function callDeep(target: Capability, depth: number): Capability[] {
  const capabilities = [target];
  for (let i = 0; i < depth; i++) {
    using call = capabilities[i]!.call(next);
    capabilities.push(call.capability(Box.CAP));
  }
  return capabilities;
}

test("calls on answers to calls, however deep, fail together", async () => {
  const target = promiseCapability();
  const pair = connect(() => target.capability.dup());
  const capabilities = callDeep(pair.client.bootstrap(), 20_000);
  while (pair.server.stats().callsInFlight < 20_000) await settle();
  const broken = capabilities.at(-1)!.whenResolved();
  target.reject(new RpcError("failed", "It is gone"));
  await expect(broken).rejects.toThrow("It is gone");
  for (const capability of capabilities) capability.release();
  target.capability.release();
  await expectNothingLeft(pair);
});

test("calls on answers to calls, however deep, are cancelled together when the peer goes", async () => {
  const target = promiseCapability();
  const pair = connect(() => target.capability.dup());
  const capabilities = callDeep(pair.client.bootstrap(), 20_000);
  await settle();
  pair.client.close();
  await pair.server.closed;
  for (const capability of capabilities) capability.release();
  target.capability.release();
  await expectNothingLeft(pair);
});
