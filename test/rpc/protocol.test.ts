/** Calls over the wire, message by message, with a peer that is played by the test. */
import { describe, expect, test } from "vitest";
import {
  brokenCapability,
  method,
  promiseCapability,
  RpcError,
  serve,
} from "../../src/rpc/index.js";
import { Box, echo, get, put, wait } from "./support/box.js";
import { introduced, keeper } from "./support/keeper.js";
import { NOTHING } from "./support/pair.js";
import { hosted, onAnswer, onExport } from "./support/raw-peer.js";

const I = "0xb0b0b0b0b0b0b0b0";

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
