/**
 * Three vats in a row, C++ and ours mixed: what passes through the middle one is calls, answers,
 * cancellations, releases and capabilities of both ends.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { done, resultOf } from "../../src/api/calls.js";
import { type Address, type Capability, Identity, SturdyRef, Vat } from "../../src/rpc/index.js";
import { buildCppPeer, CppServer, runCppClient, TlsFiles } from "./cpp-peer.js";
import {
  CANCELLATIONS,
  COUNTER,
  COUNTERS,
  ECHO,
  LET_GO,
  NEVER,
  NEXT,
  REPEAT,
  serveDoubler,
  servePeer,
  World,
} from "./service.js";

const LOOPBACK: Address = { kind: "tcp", host: "127.0.0.1", port: 0 };
const DEFAULT_ID = Buffer.alloc(0);

beforeAll(buildCppPeer);

describe.each(["plain", "TLS"])("over %s", (kind) => {
  const ours = Identity.ephemeral();
  const theirs = Identity.ephemeral();
  const files = new TlsFiles(theirs, ours);
  const isTls = kind === "TLS";
  const tlsArguments = isTls ? files.arguments : [];
  afterAll(() => files[Symbol.dispose]());

  const cppService = (server: CppServer) =>
    new SturdyRef(server.address, isTls ? theirs.fingerprint : undefined, DEFAULT_ID);

  describe("ours between two of C++", () => {
    let server: CppServer;
    let relay: Vat;
    let target: Capability;
    let address: Address;

    beforeEach(async () => {
      server = await CppServer.start(...tlsArguments);
      relay = new Vat({ identity: ours, restore: () => target.dup() });
      // The C++ client and server have the same key; a vat of its own keeps their connections
      // apart.
      const dialler = new Vat({ identity: ours });
      target = await dialler.import(cppService(server));
      target.onBroken(() => void dialler.close());
      address = (await relay.listen(LOOPBACK, { tls: isTls })).address;
    });

    afterEach(async () => {
      await relay.close();
      await server.kill();
      target.release();
    });

    it.each([
      "echo",
      "pipelining",
      "callbacks",
      "cancel",
      "release",
      "bulk",
      "errors",
      "delayed-returns",
      "delayed-pipeline",
      "order-across-return",
      "order-across-resolve",
      "tail-calls",
    ])("%s", async (scenario) => {
      await runCppClient("run", scenario, address, ...tlsArguments);
    });

    it("a client that vanishes leaves nothing behind at the server", async () => {
      const client = runCppClient("run", "vanish", address, ...tlsArguments);
      // Let it go as soon as its call is held there.
      const letGo = (): Promise<void> =>
        done(
          target.call(LET_GO, (params) => {
            params.key = 1;
          }),
        ).catch(letGo);
      await letGo();
      await client;
      const counters = target.call(COUNTERS);
      expect(await resultOf(counters, ({ live }) => live)).toBe(0);
      const cancelled = target.call(CANCELLATIONS, (params) => {
        params.atLeast = 1;
      });
      expect(await resultOf(cancelled, ({ count }) => count)).toBe(1);
    });
  });

  describe("C++ between two of ours", () => {
    const world = new World();
    let peer: Capability;
    let server: Vat;
    let relay: CppServer;
    let client: Vat;
    let remote: Capability;

    beforeEach(async () => {
      peer = servePeer(world);
      server = new Vat({ identity: ours, restore: () => peer.dup() });
      const { address } = await server.listen(LOOPBACK, { tls: isTls });
      if (address.kind !== "tcp") throw new Error("TCP only");
      relay = await CppServer.start("--relay", `tcp:127.0.0.1:${address.port}`, ...tlsArguments);
      client = new Vat({ identity: ours });
      remote = await client.import(cppService(relay));
    });

    afterEach(async () => {
      remote.release();
      await client.close();
      await relay.kill();
      await server.close();
      peer.release();
    });

    it("calls, callbacks and objects", async () => {
      const data = Buffer.from("hello");
      const echo = remote.call(ECHO, (params) => params._initData(5).copyBuffer(data));
      expect(await resultOf(echo, (r) => String(Buffer.from(r.data.toUint8Array())))).toBe("hello");

      const repeat = remote.call(REPEAT, (params, payload) => {
        params.times = 10;
        payload.setCapability(0, serveDoubler());
      });
      expect(await resultOf(repeat, ({ sum }) => sum)).toBe(90);

      const call = remote.call(COUNTER, (params) => {
        params.start = 7;
      });
      const counter = call.capability(0);
      call.cancel();
      expect(await resultOf(counter.call(NEXT), ({ value }) => value)).toBe(7);
      expect(world.counters.value).toBe(1);
      counter.release();
      await world.counters.when((value) => value === 0);
    });

    it("cancellation", async () => {
      const before = world.cancellations.value;
      const never = remote.call(NEVER);
      await done(remote.call(ECHO));
      never.cancel();
      await world.cancellations.when((value) => value === before + 1);
    });
  });
});
