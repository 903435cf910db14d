/** Promises over the wire, message by message, with a peer that is played by the test. */
import { describe, expect, test } from "vitest";
import { promiseCapability } from "../../src/rpc/index.js";
import { echo, get, put } from "./support/box.js";
import { introduced, keeper } from "./support/keeper.js";
import { NOTHING, settle } from "./support/pair.js";
import { hosted, onExport, promised, yours } from "./support/raw-peer.js";

const I = "0xb0b0b0b0b0b0b0b0";

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
    // Their promise turns out to be our own object. Calls that still come for ours must not take
    // the shorter way.
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
    // p is the peer's promise 5, and was called. The peer says: p is your export 1, itself a
    // promise. Which by then is the peer's promise 6. Which is our object 0, as no call has gone to
    // it by then.
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
