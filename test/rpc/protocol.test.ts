/** What goes over the wire, message by message, with a peer that is played by the test. */
import { describe, expect, test } from "vitest";
import {
  brokenCapability,
  type Capability,
  method,
  promiseCapability,
  RpcError,
  serve,
} from "../../src/rpc/index.js";
import { Box, boxMethod, echo, get, put, wait } from "./support/box.js";
import { NOTHING, settle } from "./support/pair.js";
import {
  hosted,
  onAnswer,
  onExport,
  promised,
  RawPeer,
  yourAnswer,
  yours,
} from "./support/raw-peer.js";

const NO_ID = new Uint8Array(0);
const I = "0xb0b0b0b0b0b0b0b0";

/** A service that keeps what it is given, gives what it is told to, and tells when it is gone. */
function keeper() {
  const kept: Capability[] = [];
  const calls: number[] = [];
  const gifts: Capability[] = [];
  let released = 0;
  let aborted = 0;
  const service = serve(
    "keeper",
    [
      method(echo, (call) => {
        calls.push(call.params.number);
      }),
      method(put, (call) => {
        kept.push(call.capability(Box.CAP));
      }),
      method(get, (call) => call.setCapability(Box.CAP, gifts.shift()!)),
      method(wait, ({ signal }) => {
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            aborted++;
            reject(signal.reason);
          });
        });
      }),
    ],
    { release: () => released++ },
  );
  return {
    service,
    kept,
    calls,
    gifts,
    get released() {
      return released;
    },
    get aborted() {
      return aborted;
    },
  };
}

/** A peer that has got the service as export 0. */
async function introduced(service: Capability): Promise<RawPeer> {
  const peer = new RawPeer(() => service.dup());
  peer.write.bootstrap(0, NO_ID);
  expect(await peer.exchange()).toEqual(["return 0 results [sender:0]"]);
  peer.write.finish(0, false);
  await peer.exchange();
  return peer;
}

describe("calls of the peer's", () => {
  test("Finish before Return cancels, and is answered at once", async () => {
    const world = keeper();
    const peer = await introduced(world.service);
    peer.call(7, onExport(0), wait);
    expect(await peer.exchange()).toEqual([]);
    peer.write.finish(7, true);
    expect(await peer.exchange()).toEqual(["return 7 canceled"]);
    expect(world.aborted).toBe(1);
    expect(peer.connection.stats()).toEqual({ ...NOTHING, exports: 1 });
  });

  test("answers without capabilities need no Finish, and may get one", async () => {
    const world = keeper();
    const peer = await introduced(world.service);
    peer.call(3, onExport(0), echo);
    expect(await peer.exchange()).toEqual(["return 3 results final"]);
    expect(peer.connection.stats().answers).toBe(0);
    peer.write.finish(3, false);
    peer.call(3, onExport(0), echo);
    expect(await peer.exchange()).toEqual(["return 3 results final"]);
  });

  test("what Finish releases is released, and nothing else is", async () => {
    const world = keeper();
    const peer = await introduced(world.service);
    for (const releases of [true, false]) {
      const gift = keeper();
      world.gifts.push(gift.service);
      peer.call(1, onExport(0), get);
      expect(await peer.exchange()).toEqual(["return 1 results [sender:1]"]);
      peer.write.finish(1, releases);
      await peer.exchange();
      expect(gift.released).toBe(releases ? 1 : 0);
      if (!releases) peer.write.release(1, 1);
      await peer.exchange();
      expect(gift.released).toBe(1);
    }
  });

  test("an object that is mentioned twice is released when both mentions are given back", async () => {
    const world = keeper();
    const gift = keeper();
    const peer = await introduced(world.service);
    world.gifts.push(gift.service.dup(), gift.service);
    peer.call(1, onExport(0), get);
    peer.call(2, onExport(0), get);
    expect(await peer.exchange()).toEqual([
      "return 1 results [sender:1]",
      "return 2 results [sender:1]",
    ]);
    peer.write.finish(1, false);
    peer.write.finish(2, false);
    peer.write.release(1, 1);
    await peer.exchange();
    expect(gift.released).toBe(0);
    peer.write.release(1, 1);
    await peer.exchange();
    expect(gift.released).toBe(1);
    expect(peer.connection.stats()).toEqual({ ...NOTHING, exports: 1 });
  });

  test("their capabilities are released with as many mentions as there were", async () => {
    const world = keeper();
    const peer = await introduced(world.service);
    peer.call(1, onExport(0), put, [hosted(5)]);
    peer.call(2, onExport(0), put, [hosted(5), hosted(5)]);
    await peer.exchange();
    expect(peer.connection.stats().imports).toBe(1);
    for (const capability of world.kept) capability.release();
    expect(await peer.listen()).toEqual(["release 5 × 3"]);
    expect(peer.connection.stats()).toEqual({ ...NOTHING, exports: 1 });
  });

  test("a broken capability is a promise that breaks right behind the message", async () => {
    const world = keeper();
    const peer = await introduced(world.service);
    world.gifts.push(brokenCapability(new RpcError("overloaded", "out of order")));
    peer.call(1, onExport(0), get);
    expect(await peer.exchange()).toEqual([
      "return 1 results [promise:1]",
      "resolve 1 to overloaded: out of order",
    ]);
  });

  test("a promise is resolved once, to what becomes of it in the end", async () => {
    const world = keeper();
    const peer = await introduced(world.service);
    const first = promiseCapability();
    const second = promiseCapability();
    world.gifts.push(first.capability);
    peer.call(1, onExport(0), get);
    expect(await peer.exchange()).toEqual(["return 1 results [promise:1]"]);
    first.resolve(second.capability);
    expect(await peer.listen()).toEqual([]);
    second.resolve(keeper().service);
    expect(await peer.listen()).toEqual(["resolve 1 to sender:2"]);
  });

  test("a tail call back to the peer leaves the answer with it", async () => {
    const service = serve("mirror", [
      method(put, (call) => {
        using target = call.capability(Box.CAP);
        call.tailCall(target, echo);
      }),
    ]);
    const peer = await introduced(service);
    peer.call(4, onExport(0), put, [hosted(9)]);
    peer.call(5, onAnswer(4, 2), echo);
    expect(await peer.exchange()).toEqual([
      `call 0 export:9 ${I}.0 yourself`,
      "return 4 as 0",
      // What is called on that answer goes to where it is, and its own answer stays there, too.
      `call 1 answer:0.2 ${I}.0 yourself`,
      "return 5 as 1",
      "release 9 × 1",
    ]);
    peer.write.returnResultsSentElsewhere(0);
    peer.write.returnResultsSentElsewhere(1);
    peer.write.finish(4, false);
    peer.write.finish(5, false);
    expect((await peer.exchange()).sort()).toEqual(["finish 0", "finish 1"]);
    expect(peer.connection.stats()).toEqual({ ...NOTHING, exports: 1 });
  });

  test("an answer that the peer wants to keep with us is used for its own", async () => {
    const world = keeper();
    const peer = await introduced(world.service);
    const gift = keeper();
    world.gifts.push(gift.service.dup());
    peer.call(0, onExport(0), put, [hosted(3)]);
    await peer.exchange();
    const call = world.kept[0]!.call(get);
    expect(await peer.listen()).toEqual([`call 0 export:3 ${I}.1`]);
    // The peer answers: what my call to your export 0 gives.
    peer.call(1, onExport(0), get, [], true);
    peer.write.returnTakeFromOtherQuestion(0, 1);
    expect(await peer.exchange()).toEqual(["finish 0", "return 1 elsewhere"]);
    const response = await call.response;
    using object = response.capability(Box.CAP);
    (await object.call(echo).response).release();
    expect(gift.calls).toEqual([0]);
    response.release();
    peer.write.finish(1, false);
    await peer.exchange();
    expect(peer.connection.stats()).toMatchObject({ questions: 0, answers: 0 });
  });
});

describe("calls of ours", () => {
  /** Our side's reference to the peer's object 3, and the peer. */
  async function asking() {
    const world = keeper();
    const peer = await introduced(world.service);
    peer.call(0, onExport(0), put, [hosted(3)]);
    await peer.exchange();
    return { world, peer, object: world.kept[0]! };
  }

  test("questions are numbered again when they are done", async () => {
    const { peer, object } = await asking();
    for (let i = 0; i < 3; i++) {
      const call = object.call(echo);
      expect(await peer.listen()).toEqual([`call 0 export:3 ${I}.0`]);
      peer.answer(0);
      expect(await peer.exchange()).toEqual(["finish 0"]);
      (await call.response).release();
    }
  });

  test("a peer of level 0 releases what it was given by returning", async () => {
    const { peer, object } = await asking();
    const own = keeper();
    object.call(put, (_, payload) => payload.setCapability(Box.CAP, own.service));
    expect(await peer.listen()).toEqual([`call 0 export:3 ${I}.2 [sender:1]`]);
    // `releaseParamCaps` is true by default: a Return whose flags are all zero.
    peer.write.returnCanceled(0);
    const bytes = Buffer.concat(peer.write.take());
    bytes.set([0], bytes.lastIndexOf(Buffer.from([1, 0, 2, 0])));
    await peer.send(bytes);
    expect(own.released).toBe(1);
  });

  test("a call that is cancelled is finished, and what comes nevertheless is left alone", async () => {
    const { peer, object } = await asking();
    const call = object.call(get);
    await peer.listen();
    call.cancel();
    expect(await peer.listen()).toEqual(["finish 0 releasing results"]);
    peer.answer(0, [hosted(8)]);
    expect(await peer.exchange()).toEqual([]);
    expect(peer.connection.stats()).toMatchObject({ questions: 0, imports: 1 });
  });

  test("a capability of an answer can be sent on before the answer is there", async () => {
    const { peer, object } = await asking();
    const call = object.call(get);
    using child = call.capability(Box.CAP);
    object.call(put, (_, payload) => payload.setCapability(Box.CAP, child.dup()));
    expect(await peer.listen()).toEqual([
      `call 0 export:3 ${I}.1`,
      `call 1 export:3 ${I}.2 [answer:0.2]`,
    ]);
  });

  test("a peer that does not know calls makes them fail", async () => {
    const { peer, object } = await asking();
    const call = object.call(echo);
    const heard: Uint8Array[] = [];
    await peer.listen();
    peer.call(0, onExport(3), echo);
    heard.push(...peer.write.take());
    await peer.send(unimplemented(Buffer.concat(heard)));
    await expect(call.response).rejects.toMatchObject({ kind: "unimplemented" });
    expect(peer.connection.error).toBeUndefined();
  });

  test("a peer that does not know Resolve does not keep what a promise became", async () => {
    const { peer, object } = await asking();
    const { capability, resolve } = promiseCapability();
    const own = keeper();
    object.call(put, (_, payload) => payload.setCapability(Box.CAP, capability));
    await peer.listen();
    resolve(own.service);
    expect(await peer.listen()).toEqual(["resolve 1 to sender:2"]);
    peer.write.resolve(1, hosted(2));
    await peer.send(unimplemented(Buffer.concat(peer.write.take())));
    expect(peer.connection.error).toBeUndefined();
    // The promise itself still holds the object.
    peer.write.release(1, 1);
    await peer.exchange();
    expect(own.released).toBe(1);
  });
});

describe("promises of the peer's", () => {
  async function promisedTo() {
    const world = keeper();
    const peer = await introduced(world.service);
    peer.call(0, onExport(0), put, [promised(5)]);
    await peer.exchange();
    return { world, peer, promise: world.kept[0]! };
  }

  test("one that breaks breaks here", async () => {
    const { peer, promise } = await promisedTo();
    peer.write.resolveException(5, { kind: "overloaded", reason: "no" });
    expect(await peer.exchange()).toEqual(["release 5 × 1"]);
    await expect(promise.call(echo).response).rejects.toMatchObject({
      kind: "overloaded",
      message: "no",
    });
    promise.release();
  });

  test("one that was released is resolved in vain", async () => {
    const { peer, promise } = await promisedTo();
    promise.release();
    expect(await peer.listen()).toEqual(["release 5 × 1"]);
    peer.write.resolve(5, hosted(6));
    expect(await peer.exchange()).toEqual(["release 6 × 1"]);
    expect(peer.connection.stats()).toEqual({ ...NOTHING, exports: 1 });
  });

  test("one that was not called and turns out to be ours is ours at once", async () => {
    const { peer, promise, world } = await promisedTo();
    peer.write.resolve(5, yours(0));
    expect(await peer.exchange()).toEqual(["release 5 × 1"]);
    (await promise.call(echo).response).release();
    expect(world.calls).toEqual([0]);
    promise.release();
  });

  test("one that was called and turns out to be ours waits for the calls to come back", async () => {
    const { peer, promise, world } = await promisedTo();
    const first = promise.call(echo, (params) => {
      params.number = 1;
    });
    expect(await peer.listen()).toEqual([`call 0 export:5 ${I}.0`]);
    peer.write.resolve(5, yours(0));
    expect(await peer.exchange()).toEqual(["disembargo request 0 to export:5", "release 5 × 1"]);
    const second = promise.call(echo, (params) => {
      params.number = 2;
    });
    await settle();
    expect(world.calls).toEqual([]);
    // The first call comes back (number 0: the test does not copy params), then the Disembargo.
    peer.call(1, onExport(0), echo, [], true);
    peer.write.returnTakeFromOtherQuestion(0, 1);
    peer.write.disembargo(onExport(0), "receiverLoopback", 0);
    expect(await peer.exchange()).toEqual(["finish 0", "return 1 elsewhere"]);
    (await first.response).release();
    (await second.response).release();
    expect(world.calls).toEqual([0, 2]);
    peer.write.finish(1, false);
    await peer.exchange();
    promise.release();
    expect(peer.connection.stats()).toEqual({ ...NOTHING, exports: 1 });
  });

  test("what was resolved to a promise of theirs goes on to be forwarded there, and nowhere else", async () => {
    const { peer, promise: target, world } = await promisedTo();
    const { capability, resolve } = promiseCapability();
    world.gifts.push(capability);
    peer.call(1, onExport(0), get);
    expect(await peer.exchange()).toEqual(["return 1 results [promise:1]"]);
    resolve(target.dup());
    expect(await peer.listen()).toEqual(["resolve 1 to receiver:5"]);
    // Their promise turns out to be our own object. Calls that still come for ours must not take the shorter way.
    peer.write.resolve(5, yours(0));
    await peer.exchange();
    peer.call(2, onExport(1), echo);
    expect(await peer.exchange()).toEqual([`call 0 export:5 ${I}.0 yourself`, "return 2 as 0"]);
    expect(world.calls).toEqual([]);
    // And a Disembargo for it is sent where they go.
    peer.write.disembargo(onExport(1), "senderLoopback", 77);
    expect(await peer.exchange()).toEqual(["disembargo reply 77 to export:5"]);
  });

  test("two Disembargoes, where calls have come back twice", async () => {
    // p is the peer's promise 5, and was called. The peer says: p is your export 1, itself a promise. Which by then is
    // the peer's promise 6. Which is our object 0, as no call has gone to it by then.
    const { peer, promise: p, world } = await promisedTo();
    peer.call(1, onExport(0), put, [promised(6)]);
    await peer.exchange();
    const six = world.kept[1]!;
    const { capability, resolve } = promiseCapability();
    world.gifts.push(capability);
    peer.call(2, onExport(0), get);
    expect(await peer.exchange()).toEqual(["return 2 results [promise:1]"]);
    p.call(echo);
    expect(await peer.listen()).toEqual([`call 0 export:5 ${I}.0`]);
    peer.write.resolve(5, yours(1));
    expect(await peer.exchange()).toEqual(["disembargo request 0 to export:5", "release 5 × 1"]);
    resolve(six.dup());
    expect(await peer.listen()).toEqual(["resolve 1 to receiver:6"]);
    peer.write.resolve(6, yours(0));
    await peer.exchange();
    // The call comes back for export 1, and is sent on to promise 6.
    peer.call(3, onExport(1), echo);
    expect(await peer.exchange()).toEqual([`call 1 export:6 ${I}.0 yourself`, "return 3 as 1"]);
    // The first Disembargo is back: that call is not here yet, so that another one must follow it.
    peer.write.disembargo(onExport(1), "receiverLoopback", 0);
    expect(await peer.exchange()).toEqual(["disembargo request 0 to export:6"]);
    p.call(echo, (params) => {
      params.number = 2;
    });
    await settle();
    expect(world.calls).toEqual([]);
    peer.call(4, onExport(0), echo, [], true);
    peer.write.disembargo(onExport(0), "receiverLoopback", 0);
    expect(await peer.exchange()).toEqual(["return 4 elsewhere"]);
    expect(peer.connection.stats().embargoes).toBe(0);
    expect(world.calls).toEqual([0, 2]);
  });
});

describe("messages that make no sense end the connection, with the reason", () => {
  const CASES: Record<string, [(peer: RawPeer) => void, string]> = {
    "a call on nothing": [(peer) => peer.call(1, onExport(99), echo), "unknown export 99"],
    "a capability that is nothing": [
      (peer) => peer.call(1, onExport(0), put, [yours(98)]),
      "unknown export 98",
    ],
    "a question asked twice": [
      (peer) => {
        peer.call(1, onExport(0), wait);
        peer.call(1, onExport(0), wait);
      },
      "question 1 is in use already",
    ],
    "more released than mentioned": [(peer) => peer.write.release(0, 2), "unknown export 0"],
    "an answer to nothing": [(peer) => peer.answer(5), "unknown question 5"],
    "a Disembargo that leads nowhere": [
      (peer) => peer.write.disembargo(onExport(0), "senderLoopback", 1),
      "a Disembargo for something that does not lead back",
    ],
    "a Disembargo nobody asked for": [
      (peer) => peer.write.disembargo(onExport(0), "receiverLoopback", 1),
      "unknown embargo 1",
    ],
  };

  test.each(Object.entries(CASES))("%s", async (_, [write, reason]) => {
    const world = keeper();
    const peer = await introduced(world.service);
    write(peer);
    const heard = await peer.exchange();
    expect(heard.at(-1)).toBe(`abort failed: ${reason}`);
    expect(peer.isClosed).toBe(true);
    expect((await peer.connection.closed).message).toBe(reason);
    expect(peer.connection.stats()).toMatchObject({ answers: 0, exports: 0, imports: 0 });
  });

  test("calls on, and mentions of, answers that are gone only fail themselves", async () => {
    const world = keeper();
    const peer = await introduced(world.service);
    peer.call(1, onAnswer(55, 0), echo);
    peer.call(2, onExport(0), put, [yourAnswer(55, 0)]);
    const heard = await peer.exchange();
    expect(heard[0]).toMatch(/^return 1 failed: the answer that was called held no capabilities/);
    expect(heard[1]).toBe("return 2 results final");
    await expect(world.kept[0]!.call(echo).response).rejects.toThrow("is released already");
  });

  test("an Abort tells why, and is not answered", async () => {
    const world = keeper();
    const peer = await introduced(world.service);
    peer.write.abort({ kind: "overloaded", reason: "too much for me" });
    expect(await peer.exchange()).toEqual([]);
    expect(peer.isClosed).toBe(true);
    expect(await peer.connection.closed).toMatchObject({
      kind: "overloaded",
      message: "too much for me",
    });
  });

  test("a peer that hangs up is disconnected", async () => {
    const peer = await introduced(keeper().service);
    const lost: string[] = [];
    peer.connection.onDisconnect((error) => lost.push(String(error)));
    peer.hangUp();
    expect(String(await peer.connection.closed)).toBe(
      "Disconnected: the peer closed the connection",
    );
    await settle();
    expect(lost).toEqual(["Disconnected: the peer closed the connection"]);
  });

  test("what we do not know is sent back", async () => {
    const peer = await introduced(keeper().service);
    // `Provide` (level 3), as an empty struct of a known size.
    const provide = new Uint32Array([0, 4, 0, 0x10001, 10, 0, 0, 1, 42, 0]);
    expect(await peer.send(new Uint8Array(provide.buffer))).toEqual(["unimplemented (message 10)"]);
    expect(peer.connection.error).toBeUndefined();
  });

  test("an interface that nobody has", async () => {
    const peer = await introduced(keeper().service);
    peer.call(1, onExport(0), boxMethod(0, 0xdeadbeefn));
    peer.call(2, onExport(0), boxMethod(77));
    expect(await peer.exchange()).toEqual([
      `return 1 unimplemented: Unknown interface ${0xdeadbeef}`,
      `return 2 unimplemented: Unknown method ${0xb0b0_b0b0_b0b0_b0b0n}.77`,
    ]);
  });
});

/** `message`, one message of one segment, as it is sent back by a peer that does not know it. */
function unimplemented(message: Uint8Array): Uint8Array {
  const words = message.byteLength / 8 - 1;
  const wrapped = new Uint8Array(message.byteLength + 3 * 8);
  const view = new DataView(wrapped.buffer);
  view.setUint32(4, words + 3, true);
  // The root struct, its tag (0: unimplemented), and a pointer to what was the root struct.
  view.setUint32(12, 1 | (1 << 16), true);
  view.setUint32(24, 1 << 2, true);
  view.setUint32(28, 1 | (1 << 16), true);
  wrapped.set(message.subarray(8), 32);
  return wrapped;
}
