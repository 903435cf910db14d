/**
 * C++ programs as clients of ours: each scenario of scenarios.h against the Peer of service.ts.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  type Capability,
  Identity,
  type Listener,
  leakedReferences,
  RpcError,
  Vat,
  watchLiveness,
} from "../../src/rpc/index.js";
import { buildCppPeer, runCppClient, TlsFiles } from "./cpp-peer.js";
import { servePeer, World } from "./service.js";

const ID = Buffer.from([0x00, 0xff, 0x80, 0x0a, 0xc3]); // neither text nor free of NULs

beforeAll(buildCppPeer);

describe.each(["plain", "TLS"])("a C++ client over %s", (kind) => {
  const ours = Identity.ephemeral();
  const theirs = new TlsFiles(Identity.ephemeral(), ours);
  const options = [...(kind === "TLS" ? theirs.arguments : []), "--id", ID.toString("hex")];
  afterAll(() => theirs[Symbol.dispose]());

  let world: World;
  let peer: Capability;
  let released: Promise<void>;
  let vat: Vat;
  let listener: Listener;

  beforeEach(async () => {
    world = new World();
    released = new Promise((resolve) => {
      peer = servePeer(world, { release: resolve });
    });
    vat = new Vat({
      identity: ours,
      restore: (id, connection) => {
        // Being probed all the time must not disturb a client, though it has no services at all.
        watchLiveness(connection!, { intervalMs: 1, timeoutMs: 30_000 });
        if (!ID.equals(id)) throw new RpcError("failed", "Unknown persistent service ID");
        return peer.dup();
      },
    });
    listener = await vat.listen(
      { kind: "tcp", host: "127.0.0.1", port: 0 },
      { tls: kind === "TLS" },
    );
  });

  afterEach(async () => {
    await world.counters.when((value) => value === 0);
    await vat.close();
    peer.release();
    await released;
    expect(leakedReferences()).toBe(0);
  });

  it.each([
    ["calls", "echo"],
    ["is refused an unknown id", "unknown-id"],
    ["pipelines", "pipelining"],
    ["is called back", "callbacks"],
    ["cancels a long poll", "cancel"],
    ["releases what it no longer needs", "release"],
    ["sends and gets 10 MB", "bulk"],
    ["sees the four kinds of errors, and unknown interfaces", "errors"],
    ["gets answers in another order than it asked", "delayed-returns"],
    ["calls on an answer that takes its time", "delayed-pipeline"],
    ["keeps its calls in order when an answer is an object of its own", "order-across-return"],
    [
      "keeps its calls in order when a promise becomes an object of its own",
      "order-across-resolve",
    ],
    ["gets the answers of tail calls", "tail-calls"],
  ])("%s", async (_, scenario) => {
    await runCppClient("run", scenario, listener.address, ...options);
  });

  it("learns that we hung up", async () => {
    const client = runCppClient("run", "disconnect", listener.address, ...options);
    await world.holds.when((count) => count === 1);
    await vat.close();
    await client;
    world.letGo(1);
  });

  it("leaves nothing behind when it vanishes", async () => {
    const client = runCppClient("run", "vanish", listener.address, ...options);
    await world.holds.when((count) => count === 1);
    expect(world.counters.value).toBe(1);
    expect(world.cancellations.value).toBe(0);
    world.letGo(1);
    await client;
    await world.counters.when((value) => value === 0);
    await world.cancellations.when((value) => value === 1);
  });
});
