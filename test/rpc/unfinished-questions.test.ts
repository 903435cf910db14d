/*
 * Calls on an answer to come, whose caller has given up all but the last of them. OCaml's peer
 * never answers a call on a bootstrap that fails and was finished before: so nothing is finished
 * that another question still builds on.
 */
import { expect, test } from "vitest";
import { Registration, Worker } from "../../src/api/index.js";
import { type Capability, RpcError } from "../../src/rpc/index.js";
import { Box, echo, get, put, wait } from "./support/box.js";
import { NO_ID } from "./support/keeper.js";
import { connect, expectNothingLeft, NOTHING, settle } from "./support/pair.js";
import { hosted, RawPeer } from "./support/raw-peer.js";

const I = "0xb0b0b0b0b0b0b0b0";
const UNKNOWN = { kind: "failed", reason: "Unknown persistent service ID" } as const;

/** A call on a service that was asked for and given up. */
async function callAndForget() {
  const peer = new RawPeer();
  const service = peer.connection.bootstrap(NO_ID);
  const call = service.call(echo);
  service.release();
  expect(await peer.listen()).toEqual(["bootstrap 0 id of 0 bytes", `call 1 answer:0 ${I}.0`]);
  return { peer, call };
}

test("a service that there is not is finished once the call on it was answered", async () => {
  const { peer, call } = await callAndForget();
  peer.write.returnException(0, UNKNOWN, false);
  expect(await peer.exchange()).toEqual([]);
  peer.write.returnException(1, UNKNOWN, false);
  expect((await peer.exchange()).sort()).toEqual(["finish 0", "finish 1"]);
  await expect(call.response).rejects.toThrow("Unknown persistent service ID");
  expect(peer.connection.stats()).toEqual(NOTHING);
});

test("it is not finished if the peer has forgotten it, and need not be", async () => {
  const { peer, call } = await callAndForget();
  peer.write.returnException(0, UNKNOWN, true);
  expect(await peer.exchange()).toEqual([]);
  expect(peer.connection.stats()).toMatchObject({ questions: 1 });
  peer.write.returnException(1, UNKNOWN, true);
  expect(await peer.exchange()).toEqual([]);
  await expect(call.response).rejects.toThrow("Unknown persistent service ID");
});

test("a service that there is waits for no call: the peer may hold it for us alone", async () => {
  const { peer, call } = await callAndForget();
  peer.write.returnResults(0, undefined, [hosted(3)], false);
  expect((await peer.exchange()).sort()).toEqual(["finish 0", "release 3 × 1"]);
  peer.answer(1);
  await peer.exchange();
  (await call.response).release();
  expect(peer.connection.stats()).toEqual(NOTHING);
});

test("the call is cancelled before the service that it is on", async () => {
  const { peer, call } = await callAndForget();
  call.cancel();
  expect(await peer.listen()).toEqual(["finish 1 releasing results", "finish 0 releasing results"]);
});

test("an answer that is only mentioned in params is waited for, too", async () => {
  const peer = new RawPeer();
  const [service, other] = [peer.connection.bootstrap(NO_ID), peer.connection.bootstrap(NO_ID)];
  const call = other.call(put, (_, payload) => payload.setCapability(Box.CAP, service));
  other.release();
  expect(await peer.listen()).toEqual([
    "bootstrap 0 id of 0 bytes",
    "bootstrap 1 id of 0 bytes",
    `call 2 answer:1 ${I}.2 [answer:0]`,
  ]);
  for (const id of [0, 1]) peer.write.returnException(id, UNKNOWN, false);
  expect(await peer.exchange()).toEqual([]);
  peer.write.returnException(2, UNKNOWN, false);
  expect((await peer.exchange()).sort()).toEqual(["finish 0", "finish 1", "finish 2"]);
  await expect(call.response).rejects.toThrow("Unknown persistent service ID");
});

test("a worker hears that its pool's secret is wrong", async () => {
  const peer = new RawPeer();
  const registration = peer.connection.bootstrap(NO_ID);
  const refuse = () => Promise.reject(new RpcError("unimplemented", "not here"));
  const worker = Worker.local({ metrics: refuse, additionalMetric: refuse, selfUpdate: refuse });
  const queue = Registration.register(registration, { name: "w", capacity: 1, worker });
  registration.release();
  expect(await peer.listen()).toEqual([
    "bootstrap 0 id of 0 bytes",
    expect.stringMatching(/^call 1 answer:0 /),
  ]);
  for (const id of [0, 1]) peer.write.returnException(id, UNKNOWN, false);
  await peer.exchange();
  await expect(queue.whenResolved()).rejects.toThrow("Unknown persistent service ID");
  queue.release();
});

test("answers that build on each other are given up together, however many", async () => {
  // Some times as many as there is stack for.
  const count = 20_000;
  const peer = new RawPeer();
  let end: Capability = peer.connection.bootstrap(NO_ID);
  for (let i = 0; i < count; i++) {
    using call = end.call(get);
    const next = call.capability(Box.CAP);
    end.release();
    end = next;
  }
  expect(await peer.listen()).toHaveLength(count + 1);
  end.release();
  const finished = await peer.listen();
  expect(finished).toHaveLength(count + 1);
  expect([finished[0], finished.at(-1)]).toEqual([
    `finish ${count} releasing results`,
    "finish 0 releasing results",
  ]);
});

test("nothing is left of them when the peer goes", async () => {
  const peer = new RawPeer();
  const service = peer.connection.bootstrap(NO_ID);
  const call = service.call(wait);
  service.release();
  await peer.listen();
  peer.hangUp();
  await expect(call.response).rejects.toMatchObject({ kind: "disconnected" });
  expect(peer.connection.stats()).toEqual(NOTHING);
});

test("of a peer of ours, too", async () => {
  const pair = connect(() => {
    throw new RpcError("failed", UNKNOWN.reason);
  });
  const service = pair.client.bootstrap();
  const call = service.call(echo);
  service.release();
  await settle();
  await expect(call.response).rejects.toThrow(UNKNOWN.reason);
  await expectNothingLeft(pair);
});
