/** Peers that do not know what they say, played by the test message by message. */
import { describe, expect, test } from "vitest";
import { promiseCapability } from "../../src/rpc/index.js";
import { DESCRIPTOR } from "../../src/rpc/wire/layout.js";
import { boxMethod, echo, get, put, wait } from "./support/box.js";
import { introduced, keeper } from "./support/keeper.js";
import { settle } from "./support/pair.js";
import {
  hosted,
  onAnswer,
  onExport,
  promised,
  type RawPeer,
  yourAnswer,
  yours,
} from "./support/raw-peer.js";

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
    "more released than there ever was": [
      (peer) => peer.write.release(0, 0xffff_ffff),
      "unknown export 0",
    ],
    "something released that never was": [(peer) => peer.write.release(7, 1), "unknown export 7"],
    "the largest id there is": [
      (peer) => peer.call(1, onExport(0xffff_ffff), echo),
      `unknown export ${0xffff_ffff}`,
    ],
    "an object that becomes another one": [
      (peer) => {
        peer.call(1, onExport(0), put, [hosted(5)]);
        peer.write.resolve(5, hosted(6));
      },
      "import 5 is not a promise (any more)",
    ],
    "a promise of itself": [
      (peer) => {
        peer.call(1, onExport(0), put, [promised(5)]);
        peer.write.resolve(5, promised(5));
      },
      "promise 5 was resolved to itself",
    ],
    "a promise that turns out to be what we never had": [
      (peer) => {
        peer.call(1, onExport(0), put, [promised(5)]);
        peer.write.resolve(5, yours(98));
      },
      "unknown export 98",
    ],
    "a path that is longer than anything nests": [
      (peer) => peer.call(1, onAnswer(0, ...Array<number>(65).fill(0)), echo),
      "the path of a promised answer is too long",
    ],
    "an answer that is another's, which there is not": [
      (peer) => {
        peer.connection.bootstrap();
        peer.write.returnTakeFromOtherQuestion(0, 55);
      },
      "unknown answer 55",
    ],
    "an answer that is another's, which is not kept": [
      (peer) => {
        peer.connection.bootstrap();
        peer.call(1, onExport(0), wait);
        peer.write.returnTakeFromOtherQuestion(0, 1);
      },
      "unknown answer 1",
    ],
    "an answer that is kept for nobody": [
      (peer) => {
        peer.connection.bootstrap();
        peer.write.returnResultsSentElsewhere(0);
      },
      "the results were sent nowhere",
    ],
    "a third party's capability without a way to it": [
      (peer) => {
        const descriptor = { tag: DESCRIPTOR.thirdPartyHosted, id: 9, path: [] };
        peer.call(1, onExport(0), put, [descriptor]);
      },
      "a third party's capability is missing",
    ],
    "an answer given twice": [
      (peer) => {
        const service = peer.connection.bootstrap();
        service.call(echo);
        peer.answer(1);
        peer.answer(1);
      },
      "unknown question 1",
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

  test("a promise that turns out to be what has turned into it", async () => {
    for (const isCalled of [false, true]) {
      const world = keeper();
      const promise = promiseCapability();
      world.gifts.push(promise.capability.dup());
      const peer = await introduced(world.service);
      peer.call(1, onExport(0), get);
      peer.call(2, onExport(0), put, [promised(5)]);
      expect(await peer.exchange()).toEqual([
        "return 1 results [promise:1]",
        "return 2 results final",
      ]);
      promise.resolve(world.kept[0]!.dup());
      if (isCalled) promise.capability.call(echo);
      await peer.listen();
      peer.write.resolve(5, yours(1));
      // Who called has to wait for the Disembargo to come around, which it never does.
      if (isCalled) {
        expect(await peer.exchange()).toContain("disembargo request 0 to export:5");
        peer.write.disembargo(onExport(1), "senderLoopback", 3);
        peer.write.disembargo(onExport(0), "receiverLoopback", 0);
      }
      await peer.exchange();
      expect(peer.connection.error).toBeUndefined();
      if (!isCalled) {
        await expect(promise.capability.call(echo).response).rejects.toThrow("wait for itself");
      }
      peer.hangUp();
      await expect(promise.capability.call(echo).response).rejects.toThrow();
      promise.capability.release();
      for (const capability of world.kept) capability.release();
    }
  });

  test("Finish for what was never asked, or is finished, means nothing", async () => {
    const peer = await introduced(keeper().service);
    for (const id of [0, 7, 7, 0xffff_ffff]) peer.write.finish(id, true);
    peer.call(0xffff_ffff, onExport(0), echo);
    expect(await peer.exchange()).toEqual([`return ${0xffff_ffff} results final`]);
    expect(peer.connection.stats()).toMatchObject({ answers: 0, exports: 1 });
  });

  test("a promise that was never made is resolved to something: that is given back", async () => {
    const peer = await introduced(keeper().service);
    peer.write.resolve(99, hosted(7));
    peer.write.resolve(98, promised(8));
    peer.write.resolve(97, yours(0));
    peer.write.resolveException(96, { kind: "failed", reason: "It is gone" });
    expect(await peer.exchange()).toEqual(["release 7 × 1", "release 8 × 1"]);
    expect(peer.connection.stats()).toMatchObject({ imports: 0, exports: 1 });
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
    // Save, Delete, Provide, Accept, Join, and what may come: as an empty struct of a known size.
    for (const tag of [7, 9, 10, 11, 12, 14, 0xffff]) {
      const message = new Uint32Array([0, 4, 0, 0x10001, tag, 0, 0, 1, 42, 0]);
      expect(await peer.send(new Uint8Array(message.buffer))).toEqual([
        `unimplemented (message ${tag})`,
      ]);
    }
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
