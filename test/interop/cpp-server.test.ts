/**
 * A C++ program as the server of our calls: the same stories as in scenarios.h, told from our side.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { done, resultOf } from "../../src/api/calls.js";
import {
  answers,
  brokenCapability,
  type Capability,
  type Connection,
  ERROR_KINDS,
  Identity,
  leakedReferences,
  RpcError,
  SturdyRef,
  Vat,
  watchLiveness,
} from "../../src/rpc/index.js";
import { buildCppPeer, CppServer, TlsFiles } from "./cpp-peer.js";
import { Stranger$Client } from "./generated/test.js";
import {
  CANCELLATIONS,
  COUNTER,
  COUNTER_LATER,
  COUNTERS,
  ECHO,
  FAIL,
  FORWARD,
  HOLD,
  LET_GO,
  NEVER,
  NEXT,
  REPEAT,
  SAME,
  SAME_LATER,
  serveDoubler,
  servePeer,
  serveRecorder,
  World,
} from "./service.js";

const ID = Buffer.from([0x00, 0xff, 0x80, 0x0a, 0xc3]); // neither text nor free of NULs
const [GREET] = Stranger$Client.methods;

beforeAll(buildCppPeer);

describe.each(["plain", "TLS"])("a C++ server over %s", (kind) => {
  const ours = Identity.ephemeral();
  const theirs = Identity.ephemeral();
  const tls = new TlsFiles(theirs, ours);
  const serverOptions = ["--id", ID.toString("hex"), ...(kind === "TLS" ? tls.arguments : [])];
  afterAll(() => tls[Symbol.dispose]());

  let server: CppServer;
  let vat: Vat;
  let connection: Connection;
  let peer: Capability;

  const reference = (id: Uint8Array) =>
    new SturdyRef(server.address, kind === "TLS" ? theirs.fingerprint : undefined, id);

  beforeEach(async () => {
    server = await CppServer.start(...serverOptions);
    vat = new Vat({ identity: ours });
    connection = await vat.connect(reference(ID));
    peer = await vat.import(reference(ID));
  });

  afterEach(async () => {
    peer.release();
    // The peer's last releases are on their way. Each round trip brings some; what does not come is
    // a leak.
    while (!connection.error && tableSizes(connection) > 0) await answers(connection, 10_000);
    await vat.close();
    await server.kill();
    expect(leakedReferences()).toBe(0);
  });

  const echo = (target: Capability, data: Uint8Array) =>
    resultOf(
      target.call(ECHO, (params) => params._initData(data.length).copyBuffer(data)),
      (results) => Buffer.from(results.data.toUint8Array()),
    );
  const next = (target: Capability, tag = 0) =>
    resultOf(
      target.call(NEXT, (params) => {
        params.tag = tag;
      }),
      (results) => results.value,
    );
  const hold = (key: number) =>
    resultOf(
      peer.call(HOLD, (params) => {
        params.key = key;
      }),
      (results) => results.key,
    );
  const letGo = (key: number) =>
    done(
      peer.call(LET_GO, (params) => {
        params.key = key;
      }),
    );
  const newCounter = (start: number) => {
    using call = peer.call(COUNTER, (params) => {
      params.start = start;
    });
    return call.capability(0);
  };
  const liveCounters = (atMost: number) =>
    resultOf(
      peer.call(COUNTERS, (params) => {
        params.atMost = atMost;
      }),
      (results) => results.live,
    );

  it("answers", async () => {
    expect(String(await echo(peer, Buffer.from("hello")))).toBe("hello");
  });

  it("has a default service, too", async () => {
    using service = await vat.import(reference(Buffer.alloc(0)));
    expect(String(await echo(service, Buffer.from("hello")))).toBe("hello");
  });

  it("refuses an unknown id", async () => {
    using unknown = await vat.import(reference(Buffer.from("no such id")));
    await expect(unknown.whenResolved()).rejects.toThrow(/Unknown persistent service ID/);
    await expect(echo(unknown, Buffer.from("hello"))).rejects.toMatchObject({ kind: "failed" });
    expect(String(await echo(peer, Buffer.from("as before")))).toBe("as before");
  });

  it("takes calls on answers that are on their way", async () => {
    using counter = newCounter(40);
    expect(await Promise.all([next(counter), next(counter)])).toEqual([40, 41]);
    expect(await next(counter)).toBe(42);
  });

  it("calls us back", async () => {
    const call = peer.call(REPEAT, (params, payload) => {
      params.times = 10;
      payload.setCapability(0, serveDoubler());
    });
    expect(await resultOf(call, ({ sum }) => sum)).toBe(90);
  });

  it("sees a long poll cancelled, by the call or by a signal", async () => {
    const stop = new AbortController();
    const never = peer.call(NEVER);
    const other = peer.call(NEVER, undefined, { signal: stop.signal });
    await echo(peer, Buffer.from("both have started"));
    never.cancel();
    stop.abort();
    await expect(done(other)).rejects.toThrow();
    const count = peer.call(CANCELLATIONS, (params) => {
      params.atLeast = 2;
    });
    expect(await resultOf(count, (results) => results.count)).toBe(2);
  });

  it("destroys objects that we release", async () => {
    const counter = newCounter(7);
    const other = newCounter(8);
    const again = counter.dup();
    expect(await Promise.all([next(counter), next(other), next(again)])).toEqual([7, 8, 8]);
    expect(await liveCounters(2)).toBe(2);
    counter.release();
    other.release();
    expect(await liveCounters(1)).toBe(1);
    expect(await next(again)).toBe(9);
    again.release();
    expect(await liveCounters(0)).toBe(0);
  });

  it("takes and gives 10 MB", async () => {
    const data = Buffer.alloc(10_000_000, "0123456789abcdefghijklmnopqrstuvwxyz");
    expect((await echo(peer, data)).equals(data)).toBe(true);
  });

  it.each(ERROR_KINDS.map((kind, number) => ({ kind, number })))(
    "fails in the way of $kind",
    async ({ kind, number }) => {
      const call = peer.call(FAIL, (params) => {
        params.kind = number as typeof params.kind;
        params.reason = "because";
      });
      const error: unknown = await done(call).catch((error: unknown) => error);
      expect(error).toBeInstanceOf(RpcError);
      expect(error).toMatchObject({ kind, message: expect.stringContaining("because") });
    },
  );

  it("has no such interface", async () => {
    await expect(done(peer.call(GREET))).rejects.toMatchObject({ kind: "unimplemented" });
    expect(String(await echo(peer, Buffer.from("as before")))).toBe("as before");
  });

  it("answers in another order than we asked", async () => {
    const held = [hold(1), hold(2), hold(3)];
    for (const key of [3, 1, 2]) {
      await letGo(key);
      expect(await held[key - 1]).toBe(key);
    }
  });

  it("is called on an answer that takes its time", async () => {
    using call = peer.call(COUNTER_LATER, (params) => {
      params.key = 1;
      params.start = 100;
    });
    using counter = call.capability(0);
    const early = Array.from({ length: 5 }, () => next(counter));
    await letGo(1);
    const late = Array.from({ length: 5 }, () => next(counter));
    expect(await Promise.all([...early, ...late])).toEqual([
      100, 101, 102, 103, 104, 105, 106, 107, 108, 109,
    ]);
  });

  describe("keeps our calls in order", () => {
    it("when an answer is an object of ours", async () => {
      const tags: number[] = [];
      const recorder = serveRecorder(tags);
      using call = peer.call(SAME, (_, payload) => payload.setCapability(0, recorder));
      using cap = call.capability(0);
      const early = range(0, 20).map((tag) => next(cap, tag));
      (await call.response).release();
      const late = range(20, 40).map((tag) => next(cap, tag));
      await Promise.all([...early, ...late]);
      await Promise.all(range(40, 60).map((tag) => next(cap, tag)));
      expect(tags).toEqual(range(0, 60));
    });

    it("when a promise becomes an object of ours", async () => {
      const tags: number[] = [];
      const recorder = serveRecorder(tags);
      using call = peer.call(SAME_LATER, (params, payload) => {
        params.key = 1;
        payload.setCapability(0, recorder);
      });
      using response = await call.response;
      using cap = response.capability(0);
      const early = range(0, 20).map((tag) => next(cap, tag));
      await letGo(1);
      const late = range(20, 40).map((tag) => next(cap, tag));
      await cap.whenResolved();
      const last = range(40, 60).map((tag) => next(cap, tag));
      await Promise.all([...early, ...late, ...last]);
      expect(tags).toEqual(range(0, 60));
    });
  });

  it("makes tail calls, to us and to itself", async () => {
    const forward = (target: Capability) =>
      resultOf(
        peer.call(FORWARD, (params, payload) => {
          payload.setCapability(0, target);
          params._initData(10).copyBuffer(Buffer.from("round trip"));
        }),
        (results) => String(Buffer.from(results.data.toUint8Array())),
      );
    expect(await forward(servePeer(new World()))).toBe("round trip");
    expect(await forward(peer.dup())).toBe("round trip");
  });

  it("takes a broken capability as an argument", async () => {
    const broken = brokenCapability(new RpcError("overloaded", "it broke"));
    using call = peer.call(SAME, (_, payload) => payload.setCapability(0, broken));
    using cap = call.capability(0);
    await expect(next(cap)).rejects.toThrow(/it broke/);
  });

  it("answers probes of its liveness", async () => {
    const stop = watchLiveness(connection, { intervalMs: 1, timeoutMs: 50_000 });
    // Answers come in order: when these are there, several probes have been answered and were no
    // offence.
    for (let i = 0; i < 200; i++) await echo(peer, Buffer.from("busy"));
    stop();
    expect(String(await echo(peer, Buffer.from("as before")))).toBe("as before");
  });

  it("is found out when it is frozen", async () => {
    watchLiveness(connection, { intervalMs: 1, timeoutMs: 200 });
    server.process.kill("SIGSTOP");
    const error = await connection.closed;
    expect(error.kind).toBe("disconnected");
    expect(error.message).toBe("The peer has not answered for 0.2 s");
    await server.kill(); // or its socket would stay for some seconds, in case it reads our farewell
  });

  it("is missed when it is killed: calls fail, capabilities break, our objects are released", async () => {
    let released = 0;
    const mine = serveDoubler({ release: () => released++ });
    const repeated = peer.call(REPEAT, (params, payload) => {
      params.times = 1_000_000_000;
      payload.setCapability(0, mine);
    });
    const outcomes = Promise.allSettled([hold(1), done(repeated)]);
    const broken = new Promise<RpcError>((resolve) => peer.onBroken(resolve));
    await echo(peer, Buffer.from("all of this has arrived"));
    await server.kill();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { kind: "disconnected" } });
    }
    expect(await broken).toMatchObject({ kind: "disconnected" });
    expect(await connection.closed).toMatchObject({ kind: "disconnected" });
    await expect(hold(2)).rejects.toMatchObject({ kind: "disconnected" });
    expect(released).toBe(1);
  });
});

function tableSizes(connection: Connection): number {
  const { questions, answers, imports, exports, embargoes } = connection.stats();
  return questions + answers + imports + exports + embargoes;
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}
