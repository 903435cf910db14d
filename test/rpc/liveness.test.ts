import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  answers,
  brokenCapability,
  Connection,
  memoryTransportPair,
  RpcError,
  watchLiveness,
} from "../../src/rpc/index.js";

const UNKNOWN = new RpcError("failed", "Unknown persistent service ID");

/** A connection whose peer can be frozen: nothing reaches it or comes from it any more. */
function connectionWithPeer() {
  let frozen = false;
  let probes = 0;
  const [near, far] = memoryTransportPair((deliver) => {
    if (!frozen) setImmediate(deliver);
  });
  const connection = new Connection(near, { bootstrap: () => brokenCapability(UNKNOWN) });
  const peer = new Connection(far, {
    bootstrap: () => {
      probes++;
      throw UNKNOWN;
    },
  });
  return {
    connection,
    peer,
    freeze: () => {
      frozen = true;
    },
    probes: () => probes,
  };
}

let stage: ReturnType<typeof connectionWithPeer>;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  stage = connectionWithPeer();
});
afterEach(() => {
  stage.connection.close();
  stage.peer.close();
  vi.useRealTimers();
});

/** Lets everything happen that can happen without time passing. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function pass(ms: number): Promise<void> {
  vi.advanceTimersByTime(ms);
  await settle();
}

describe("answers", () => {
  it("is true for a peer that refuses, and leaves nothing behind", async () => {
    expect(await answers(stage.connection, 1000)).toBe(true);
    await settle();
    expect(stage.connection.stats()).toMatchObject({ questions: 0, imports: 0 });
    expect(stage.peer.stats()).toMatchObject({ answers: 0, exports: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is false when time is up", async () => {
    stage.freeze();
    const answer = answers(stage.connection, 1000);
    await pass(1000);
    expect(await answer).toBe(false);
  });

  it("is false when the connection ends, or has ended", async () => {
    stage.freeze();
    const answer = answers(stage.connection, 1000);
    stage.connection.close();
    expect(await answer).toBe(false);
    expect(await answers(stage.connection, 1000)).toBe(false);
  });
});

describe("a watch", () => {
  const options = { intervalMs: 10_000, timeoutMs: 3_000 };

  it("asks once per interval and leaves a peer alone that answers", async () => {
    watchLiveness(stage.connection, options);
    await settle();
    expect(stage.probes()).toBe(0);
    for (let i = 1; i <= 5; i++) {
      await pass(10_000);
      expect(stage.probes()).toBe(i);
    }
    expect(stage.connection.error).toBeUndefined();
  });

  it("ends the connection of a peer that is silent for too long", async () => {
    watchLiveness(stage.connection, options);
    await pass(10_000);
    stage.freeze();
    await pass(12_999);
    expect(stage.connection.error).toBeUndefined();
    await pass(1);
    expect(stage.connection.error).toMatchObject({
      kind: "disconnected",
      message: "The peer has not answered for 3 s",
    });
  });

  it("is over when it is stopped, also in the middle of a probe", async () => {
    const stop = watchLiveness(stage.connection, options);
    stage.freeze();
    await pass(10_000);
    stop();
    await pass(20_000);
    expect(stage.connection.error).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is over when the connection ends", async () => {
    watchLiveness(stage.connection, options);
    stage.connection.close();
    await settle();
    expect(vi.getTimerCount()).toBe(0);
  });
});
