/**
 * The memory of a message is used for something else once the message has been handled: whatever is
 * kept of it must be a copy. Here it is spoiled at once, the chunks of the stream and the buffer in
 * which splitting puts them together alike.
 */
import { expect, test } from "vitest";
import {
  type Capability,
  Connection,
  DEFAULT_LIMITS,
  type DetachedPointer,
  memoryTransportPair,
  method,
  PendingCapability,
  serve,
  type Transport,
} from "../../src/rpc/index.js";
import { MessageSplitter } from "../../src/rpc/wire/framing.js";
import { type Box, echo, get, put, wait } from "./support/box.js";
import { expectNothingLeft, type Pair, refuse } from "./support/pair.js";

const GARBAGE = 0xa5;

/** More than what comes from Node's pool, and less than what is not kept for the next message. */
const BYTES = 100_000;

/** Sizes of chunks: messages in several pieces, and several in one. */
const CHUNKS = [1000, 64 * 1024, 512 * 1024];

/** Fills the spare buffer, if there is one: a message that is small enough gets it. */
function spoilSpareBuffer(): void {
  const message = Buffer.alloc(8192);
  message.writeUInt32LE(message.length / 8 - 1, 4);
  const splitter = new MessageSplitter(DEFAULT_LIMITS, (bytes) => {
    bytes.fill(GARBAGE);
    return true;
  });
  splitter.push(message.subarray(0, 5000));
  splitter.push(message.subarray(5000));
}

/**
 * What comes in by the transport is in pieces of `size` that are spoiled when they have been
 * handled.
 */
function spoiling(transport: Transport, size: number): Transport {
  const start = transport.start.bind(transport);
  transport.start = (handlers) =>
    start({
      ...handlers,
      onData: (data) => {
        for (let at = 0; at < data.length; at += size) {
          const chunk = Uint8Array.from(data.subarray(at, at + size));
          handlers.onData(chunk);
          chunk.fill(GARBAGE);
          spoilSpareBuffer();
        }
      },
    });
  return transport;
}

function connect(service: () => Capability, size: number): Pair {
  const [a, b] = memoryTransportPair().map((transport) => spoiling(transport, size));
  return {
    server: new Connection(a!, { bootstrap: service }),
    client: new Connection(b!, { bootstrap: refuse }),
  };
}

const fill = (number: number) => (box: Box) => {
  box.number = number;
  box.initData(BYTES).toUint8Array().fill(number);
};

/** The number if the data are as `fill` made them. */
function check(box: Box): number {
  expect(Buffer.alloc(BYTES, box.number).equals(box.data.toUint8Array())).toBe(true);
  return box.number;
}

test.each(CHUNKS)("Params and results stay what they are, in chunks of %i bytes", async (size) => {
  const params: number[] = [];
  const kept: DetachedPointer[] = [];
  const late = new PendingCapability();
  const service = serve("Box", [
    method(echo, (call) => {
      params.push(check(call.params));
      fill(call.params.number + 100)(call.results());
    }),
    method(put, (call) => void kept.push(call.detach(1))),
    method(wait, (call) => {
      using pointer = kept.shift()!;
      call.results().number = call.params.number;
      call.setPointer(1, pointer);
    }),
    method(get, (call) => call.setCapability(2, late.reference())),
  ]);
  const far = connect(() => service.dup(), size);
  const relay = far.client.bootstrap();
  const near = connect(() => relay.dup(), size);
  using root = near.client.bootstrap();
  using asked = root.call(get);
  using promised = asked.capability(2);
  // Some wait at the object, some at a promise there, and all answers for those that come later.
  const calls = [1, 2, 3, 4, 5, 6].map((number) =>
    (number % 2 ? root : promised).call(echo, fill(number)),
  );
  for (const number of [7, 8]) (await root.call(put, fill(number)).response).release();
  for (const call of calls.filter((_, index) => index % 2 === 0)) await call.response;
  late.resolve(service.dup());
  const responses = await Promise.all(calls.map(({ response }) => response));
  expect(responses.map(({ results }) => check(results))).toEqual([101, 102, 103, 104, 105, 106]);
  expect(params.toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
  for (const number of [7, 8]) {
    using call = root.call(wait, (box) => {
      box.number = number;
    });
    expect(check((await call.response).results)).toBe(number);
  }
  for (const call of calls) call.cancel();
  promised.release();
  asked.cancel();
  root.release();
  late.release();
  await expectNothingLeft(near);
  relay.release();
  await expectNothingLeft(far);
  service.release();
});
