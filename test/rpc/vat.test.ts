import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resultOf } from "../../src/api/calls.js";
import {
  type Address,
  type AdmissionLimits,
  type Capability,
  type Connection,
  Identity,
  type Listener,
  method,
  RpcError,
  SturdyRef,
  serve,
  Vat,
  type VatOptions,
} from "../../src/rpc/index.js";
import { type Box, echo } from "./support/box.js";

const LOOPBACK: Address = { kind: "tcp", host: "127.0.0.1", port: 0 };
const ID = Buffer.from("the service");

let vats: Vat[];
let cleanups: (() => void)[];
beforeEach(() => {
  vats = [];
  cleanups = [];
});
afterEach(async () => {
  await Promise.all(vats.map((vat) => vat.close()));
  for (const cleanup of cleanups) cleanup();
});

/** A vat with a service that says the vat's name, and who connected to it for that. */
function makeVat(name: string, options: VatOptions = {}) {
  const visitors: Connection[] = [];
  const vat = new Vat({
    restore: (id, connection) => {
      if (!ID.equals(id)) throw new RpcError("failed", "Unknown persistent service ID");
      if (connection) visitors.push(connection);
      return serve(name, [
        method(echo, (call) => {
          call.results().text = name;
        }),
      ]);
    },
    ...options,
  });
  vats.push(vat);
  return { vat, visitors };
}

function nameOf(service: Capability): Promise<string> {
  return resultOf(service.call(echo), (results: Box) => results.text);
}

async function askOver(connection: Connection): Promise<string> {
  using service = connection.bootstrap(ID);
  return await nameOf(service);
}

async function askWrongly(connection: Connection): Promise<void> {
  using service = connection.bootstrap(Buffer.from("another"));
  await service.whenResolved();
}

async function ask(vat: Vat, ref: SturdyRef): Promise<string> {
  using service = await vat.import(ref);
  return await nameOf(service);
}

function listen(vat: Vat, tls = true, address = LOOPBACK): Promise<Listener> {
  return vat.listen(address, { tls });
}

/** Two identities, the greater digest first. */
function twoIdentities(): [Identity, Identity] {
  const pair: [Identity, Identity] = [Identity.ephemeral(), Identity.ephemeral()];
  return pair.sort((a, b) => Buffer.compare(b.fingerprint, a.fingerprint)) as typeof pair;
}

/** A TCP relay to `target` that lets nothing through before it is opened. */
async function gate(target: Address) {
  if (target.kind !== "tcp") throw new Error("TCP only");
  const waiting: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (socket) => waiting.push(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => server.close());
  const { port } = server.address() as { port: number };
  const address: Address = { kind: "tcp", host: "127.0.0.1", port };
  const open = () => {
    for (const socket of waiting) {
      const onward = connect(target.port, target.host);
      cleanups.push(() => onward.destroy());
      cleanups.push(() => socket.destroy());
      socket.on("error", () => onward.destroy());
      onward.on("error", () => socket.destroy());
      socket.pipe(onward).pipe(socket);
    }
  };
  return { address, open, arrived: once(server, "connection") };
}

describe("importing a service", () => {
  it.each([
    ["TLS", true],
    ["plain", false],
  ])("works over TCP and unix sockets (%s)", async (_, tls) => {
    const { vat: server } = makeVat("server");
    const { vat: client } = makeVat("client");
    const dir = mkdtempSync(join(tmpdir(), "vat-"));
    cleanups.push(() => rmSync(dir, { recursive: true }));
    const overTcp = await listen(server, tls);
    const overUnix = await listen(server, tls, { kind: "unix", path: join(dir, "socket") });
    expect(await ask(client, server.sturdyRef(overTcp, ID))).toBe("server");
    const { vat: other } = makeVat("other client");
    expect(await ask(other, server.sturdyRef(overUnix, ID))).toBe("server");
  });

  it("works through the text of a reference, at a public address", async () => {
    const { vat: server } = makeVat("server");
    const { vat: client } = makeVat("client");
    const { address } = await listen(server);
    if (address.kind !== "tcp") throw new Error("TCP only");
    const publicAddress: Address = { ...address, host: "localhost" };
    const uri = server.sturdyRef({ address: publicAddress, tls: true }, ID).format();
    expect(await ask(client, SturdyRef.parse(uri))).toBe("server");
  });

  it("shares one connection, also with who asks while it is made", async () => {
    const { vat: server, visitors } = makeVat("server");
    const { vat: client } = makeVat("client");
    for (const tls of [true, false]) {
      const ref = server.sturdyRef(await listen(server, tls), ID);
      const before = client.connectionCount;
      visitors.length = 0;
      expect(await Promise.all([ask(client, ref), ask(client, ref)])).toEqual(["server", "server"]);
      expect(await ask(client, ref)).toBe("server");
      expect(client.connectionCount).toBe(before + 1);
      expect(new Set(visitors).size).toBe(1);
    }
  });

  it("uses the connection that the other vat made", async () => {
    const { vat: server, visitors } = makeVat("server");
    const { vat: client } = makeVat("client");
    await ask(client, server.sturdyRef(await listen(server), ID));
    // The client cannot be reached by address, but it need not be.
    const nowhere: Address = { kind: "tcp", host: "127.0.0.1", port: 1 };
    const ref = client.sturdyRef({ address: nowhere, tls: true }, ID);
    expect(await ask(server, ref)).toBe("client");
    expect(await server.connect(ref)).toBe(visitors[0]);
  });

  it("uses a connection that the other vat made while ours failed", async () => {
    const { vat: server } = makeVat("server");
    const { vat: client } = makeVat("client");
    const closed = await gate(LOOPBACK); // leads to port 0, where nobody is
    const attempt = server.connect(client.sturdyRef({ address: closed.address, tls: true }, ID));
    await closed.arrived;
    await ask(client, server.sturdyRef(await listen(server), ID));
    closed.open();
    expect(await askOver(await attempt)).toBe("client");
  });

  it("of its own needs no network", async () => {
    const { vat, visitors } = makeVat("itself");
    const nowhere: Address = { kind: "tcp", host: "127.0.0.1", port: 1 };
    const ref = vat.sturdyRef({ address: nowhere, tls: true }, ID);
    expect(await ask(vat, ref)).toBe("itself");
    expect(visitors).toEqual([]);
    const unknown = vat.sturdyRef({ address: nowhere, tls: true }, Buffer.from("?"));
    await expect(vat.import(unknown)).rejects.toThrow("Unknown persistent service ID");
    await expect(vat.connect(ref)).rejects.toThrow(/does not connect to itself/);
  });

  it("makes a new connection when the old one is gone", async () => {
    const { vat: server, visitors } = makeVat("server");
    const { vat: client } = makeVat("client");
    const ref = server.sturdyRef(await listen(server), ID);
    await ask(client, ref);
    (await client.connect(ref)).close();
    expect(await ask(client, ref)).toBe("server");
    expect(visitors).toHaveLength(2);
    visitors[1]!.close();
    await (await client.connect(ref)).closed;
    expect(await ask(client, ref)).toBe("server");
  });

  it("tells those who wait what is going on", async () => {
    const { vat: server } = makeVat("server");
    const { vat: client } = makeVat("client");
    const ref = server.sturdyRef(await listen(server), ID);
    const stages: string[] = [];
    const onProgress = (stage: string) => stages.push(stage);
    (await client.import(ref, { onProgress })).release();
    (await client.import(ref, { onProgress })).release();
    expect(stages).toEqual(["connecting", "connected", "connected"]);
  });
});

describe("a service that is not to be had", () => {
  it("because of its id", async () => {
    const { vat: server } = makeVat("server");
    const { vat: client } = makeVat("client");
    const ref = server.sturdyRef(await listen(server), Buffer.from("another"));
    using service = await client.import(ref);
    await expect(service.whenResolved()).rejects.toThrow("Unknown persistent service ID");
    await expect(nameOf(service)).rejects.toMatchObject({ kind: "failed" });
  });

  it("because the vat has none", async () => {
    const server = new Vat({});
    vats.push(server);
    const { vat: client } = makeVat("client");
    await expect(ask(client, server.sturdyRef(await listen(server), ID))).rejects.toThrow(
      "This vat offers no services",
    );
  });

  it("because somebody else answers", async () => {
    const { vat: server } = makeVat("server");
    const { vat: client } = makeVat("client");
    const { address } = await listen(server);
    const ref = new SturdyRef(address, Identity.ephemeral().fingerprint, ID);
    await expect(client.import(ref)).rejects.toMatchObject({
      kind: "failed",
      message: expect.stringMatching(/has another key than the capability asks for/),
      code: "wrong-key",
    });
    expect(client.connectionCount).toBe(0);
  });

  it("because nobody answers in time", async () => {
    const { vat: client } = makeVat("client");
    const { address } = await gate(LOOPBACK);
    const ref = new SturdyRef(address, Identity.ephemeral().fingerprint, ID);
    await expect(client.import(ref, { timeoutMs: 10 })).rejects.toMatchObject({
      kind: "disconnected",
      message: expect.stringMatching(/^tcp:127\.0\.0\.1:\d+ did not answer within 0\.01 s$/),
    });
  });

  it("because the vat is closed", async () => {
    const { vat: client } = makeVat("client");
    const { address, arrived } = await gate(LOOPBACK);
    const ref = new SturdyRef(address, Identity.ephemeral().fingerprint, ID);
    const attempt = client.import(ref);
    attempt.catch(() => {}); // looked at below
    await arrived;
    await client.close();
    await expect(attempt).rejects.toThrow("The vat was shut down");
    await expect(client.import(ref)).rejects.toThrow("The vat was shut down");
  });
});

describe("when two vats dial each other at once", () => {
  /**
   * `first` has reached `second`, whose own attempt to reach `first` had begun before and now
   * arrives. Gives what each of them holds in the end.
   */
  async function cross(first: ReturnType<typeof makeVat>, second: ReturnType<typeof makeVat>) {
    const toFirst = await gate((await listen(first.vat)).address);
    const attempt = second.vat.connect(
      first.vat.sturdyRef({ address: toFirst.address, tls: true }, ID),
    );
    await toFirst.arrived;
    const ref = second.vat.sturdyRef(await listen(second.vat), ID);
    const early = await first.vat.connect(ref);
    await askOver(early); // the second vat knows of it, too
    toFirst.open();
    const atSecond = await attempt;
    return { early, atSecond, ref };
  }

  it("the connection that the greater one dialled stays, if it came first", async () => {
    const [greater, smaller] = twoIdentities();
    const first = makeVat("first", { identity: greater });
    const second = makeVat("second", { identity: smaller });
    const { early, atSecond, ref } = await cross(first, second);
    expect(atSecond).toBe(second.visitors[0]);
    expect(await askOver(atSecond)).toBe("first");
    expect(early.error).toBeUndefined();
    expect(await first.vat.connect(ref)).toBe(early);
    expect(await askOver(early)).toBe("second");
  });

  it("the connection that the greater one dialled stays, if it came second", async () => {
    const [greater, smaller] = twoIdentities();
    const first = makeVat("first", { identity: smaller });
    const second = makeVat("second", { identity: greater });
    const { early, atSecond, ref } = await cross(first, second);
    expect((await early.closed).message).toBe("Invalidated by newer connection");
    expect(await askOver(atSecond)).toBe("first");
    expect(await first.vat.connect(ref)).toBe(first.visitors[0]);
    expect(await ask(first.vat, ref)).toBe("second");
  });
});

it.each([0, 1])("a peer that dials again has lost its old connection (%i)", async (which) => {
  const identities = twoIdentities(); // the rule must not depend on whose digest is greater
  const { vat: server, visitors } = makeVat("server", { identity: identities[which]! });
  const identity = identities[1 - which]!;
  const { vat: before } = makeVat("client", { identity });
  const { vat: after } = makeVat("client", { identity });
  const ref = server.sturdyRef(await listen(server), ID);
  await ask(before, ref);
  const old = await before.connect(ref);
  expect(await ask(after, ref)).toBe("server");
  expect((await old.closed).message).toBe("Invalidated by newer connection");
  expect(visitors[1]!.error).toBeUndefined();
  expect(await ask(after, ref)).toBe("server");
});

describe("those who come in", () => {
  /** What a vat with these limits logs, and where it listens. */
  async function guarded(admissionLimits: Partial<AdmissionLimits>, tls = true) {
    const log: string[] = [];
    const { vat } = makeVat("server", { admissionLimits, log: (_, line) => log.push(line) });
    return { vat, log, ref: vat.sturdyRef(await listen(vat, tls), ID) };
  }

  it("are turned away while there are too many, except for those who come back", async () => {
    const { vat, log, ref } = await guarded({ connections: 2 });
    const identity = Identity.ephemeral();
    const first = makeVat("first", { identity }).vat;
    const second = makeVat("second").vat;
    expect(await ask(first, ref)).toBe("server");
    expect(await ask(second, ref)).toBe("server");
    const third = makeVat("third").vat;
    await expect(ask(third, ref)).rejects.toThrow();
    expect(log.filter((line) => /no more are allowed/.test(line))).toEqual([
      expect.stringMatching(
        /^Rejecting new connection from tcp:.*: there are 2 connections, and no more are allowed$/,
      ),
    ]);
    expect(await ask(makeVat("first again", { identity }).vat, ref)).toBe("server");
    expect(await ask(second, ref)).toBe("server");
    await second.close();
    while (vat.connectionCount > 1) await new Promise((resolve) => setImmediate(resolve));
    expect(await ask(makeVat("fourth").vat, ref)).toBe("server");
  });

  it.each([
    ["with TLS", true],
    ["without", false],
  ])("and only take up room make way for others, the oldest first, %s", async (_, tls) => {
    const { vat, ref } = await guarded({ connections: 3 }, tls);
    const friend = makeVat("friend").vat;
    expect(await ask(friend, ref)).toBe("server");
    const strangers: Connection[] = [];
    for (const name of ["first", "second"]) {
      strangers.push(await makeVat(name).vat.connect(ref));
      while (vat.connectionCount < 1 + strangers.length)
        await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await ask(makeVat("newcomer").vat, ref)).toBe("server");
    await strangers[0]!.closed;
    expect(strangers[1]!.error).toBeUndefined();
    expect(await ask(makeVat("another").vat, ref)).toBe("server");
    await strangers[1]!.closed;
    await expect(ask(makeVat("last").vat, ref)).rejects.toThrow();
    expect(await ask(friend, ref)).toBe("server");
  });

  it.each([
    ["with TLS", true],
    ["without", false],
  ])("and ask for nothing that they are given are not kept, %s", async (_, tls) => {
    const { vat, ref } = await guarded({ strangerMs: 500 }, tls);
    const idle = await makeVat("idle").vat.connect(ref);
    const refused = await makeVat("refused").vat.connect(ref);
    await expect(askWrongly(refused)).rejects.toThrow("Unknown persistent service ID");
    const reason = "Nothing was asked for within 0.5 s";
    expect((await idle.closed).message).toBe(reason);
    expect((await refused.closed).message).toBe(reason);
    while (vat.connectionCount > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it("and ask for nothing are few from one address, the oldest must leave", async () => {
    const { vat, ref } = await guarded({ addressStrangers: 2 });
    const friend = makeVat("friend").vat;
    expect(await ask(friend, ref)).toBe("server");
    const strangers: Connection[] = [];
    for (const name of ["first", "second", "third"]) {
      strangers.push(await makeVat(name).vat.connect(ref));
      while (vat.connectionCount < 1 + Math.min(strangers.length, 2))
        await new Promise((resolve) => setImmediate(resolve));
    }
    await strangers[0]!.closed;
    expect(strangers.slice(1).map(({ error }) => error)).toEqual([undefined, undefined]);
    expect(await ask(friend, ref)).toBe("server");
    expect(await ask(makeVat("newcomer").vat, ref)).toBe("server");
  });

  it("are kept however idle they are, if they were given something once, or gave", async () => {
    const { vat, ref, log } = await guarded({ strangerMs: 1000 });
    const visitor = makeVat("visitor").vat;
    expect(await ask(visitor, ref)).toBe("server");
    const host = makeVat("host");
    await host.vat.connect(ref);
    while (vat.connectionCount < 2) await new Promise((resolve) => setImmediate(resolve));
    const hostRef = host.vat.sturdyRef(await listen(host.vat), ID);
    expect(await ask(vat, hostRef)).toBe("host");
    expect(host.visitors).toHaveLength(1);
    // One that came after both is a stranger, and closed after they would have been.
    const idle = await makeVat("idle").vat.connect(ref);
    await idle.closed;
    while (vat.connectionCount > 2) await new Promise((resolve) => setImmediate(resolve));
    expect(log.filter((line) => /ended/.test(line))).toHaveLength(1);
    expect(await ask(visitor, ref)).toBe("server");
  });
});

describe("closing a vat", () => {
  it("tells its peers, and lets nobody in any more", async () => {
    const { vat: server } = makeVat("server");
    const { vat: client } = makeVat("client");
    const { vat: late } = makeVat("late");
    const ref = server.sturdyRef(await listen(server), ID);
    using service = await client.import(ref);
    const connection = await client.connect(ref);
    await nameOf(service);
    await server.close(new RpcError("disconnected", "gone for lunch"));
    expect(await connection.closed).toMatchObject({
      kind: "disconnected",
      message: "gone for lunch",
    });
    await expect(nameOf(service)).rejects.toMatchObject({ kind: "disconnected" });
    await expect(late.import(ref)).rejects.toThrow(/connection refused/);
    expect(server.connectionCount).toBe(0);
    await client.close();
    expect(client.connectionCount).toBe(0);
  });
});
