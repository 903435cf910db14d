import { createHash, createPublicKey, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { connect as tlsConnect } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RpcError } from "../../src/rpc/errors.js";
import { type Address, formatAddress } from "../../src/rpc/net/address.js";
import { dial } from "../../src/rpc/net/dial.js";
import { Identity } from "../../src/rpc/net/identity.js";
import { Listener, type ListenOptions } from "../../src/rpc/net/listener.js";
import { formatFingerprint } from "../../src/rpc/net/sturdy-ref.js";

const LOOPBACK: Address = { kind: "tcp", host: "127.0.0.1", port: 0 };
const NEVER = new AbortController().signal;
const server = Identity.ephemeral();
const client = Identity.ephemeral();

interface Arrival {
  readonly socket: Socket;
  readonly description: string;
  readonly fingerprint: Uint8Array | undefined;
}

/** What a test opens, for `afterEach` to close. */
let open: { close(): void }[];
let dir: string;
beforeEach(() => {
  open = [];
  dir = mkdtempSync(join(tmpdir(), "sockets-"));
});
afterEach(() => {
  for (const each of open) each.close();
  rmSync(dir, { recursive: true });
});

/** A listener, what its log says, and the connections it hands on in the order of their arrival. */
async function listen(address = LOOPBACK, options: Partial<ListenOptions> = {}) {
  const arrivals: Arrival[] = [];
  const log: string[] = [];
  let changed = () => {};
  const listener = await Listener.listen(address, {
    identity: server,
    log: (_, line) => {
      log.push(line);
      changed();
    },
    onConnection: (socket, description, fingerprint) => {
      arrivals.push({ socket, description, fingerprint });
      open.push({ close: () => socket.destroy() });
      changed();
    },
    ...options,
  });
  open.push(listener);
  /** Waits for the log or the arrivals to look like this. */
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise<void>((resolve) => (changed = resolve));
  };
  const logged = (line: RegExp) => until(() => log.some((each) => line.test(each)));
  return { listener, arrivals, log, until, logged };
}

async function dialFor(address: Address, fingerprint: Uint8Array | undefined, signal = NEVER) {
  const socket = await dial(address, fingerprint && { identity: client, fingerprint }, signal);
  open.push({ close: () => socket.destroy() });
  return socket;
}

function rawConnect(address: Address): Socket {
  const socket =
    address.kind === "unix" ? connect(address.path) : connect(address.port, address.host);
  socket.on("error", () => {}); // who is turned away may see a reset or an end
  open.push({ close: () => socket.destroy() });
  return socket;
}

/** The first message of a TLS handshake. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const nowhere = new Duplex({ read() {}, write: resolve });
    tlsConnect({ socket: nowhere });
  });
}

async function failure(promise: Promise<unknown>): Promise<RpcError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(RpcError);
  return error as RpcError;
}

describe.each(["TCP", "a unix socket"])("over %s", (kind) => {
  const place = (): Address =>
    kind === "TCP" ? LOOPBACK : { kind: "unix", path: join(dir, "socket") };

  it("both ends learn the other's key, and bytes flow", async () => {
    const { listener, arrivals, until } = await listen(place());
    const socket = await dialFor(listener.address, server.fingerprint);
    await until(() => arrivals.length === 1);
    expect(arrivals[0]!.fingerprint).toEqual(client.fingerprint);
    socket.write("ping");
    expect(String((await once(arrivals[0]!.socket, "data"))[0])).toBe("ping");
    arrivals[0]!.socket.write("pong");
    expect(String((await once(socket, "data"))[0])).toBe("pong");
  });

  it("without TLS nothing comes before the first byte", async () => {
    const { listener, arrivals, until } = await listen(place(), { identity: undefined });
    const socket = await dialFor(listener.address, undefined);
    await until(() => arrivals.length === 1);
    expect(arrivals[0]!.fingerprint).toBeUndefined();
    socket.write("ping");
    expect(String((await once(arrivals[0]!.socket, "data"))[0])).toBe("ping");
  });

  it("a server with another key is left before a byte is sent to it, and both keys are named", async () => {
    const { listener, arrivals, log, until } = await listen(place());
    const error = await failure(dialFor(listener.address, client.fingerprint));
    expect(error.kind).toBe("failed");
    expect(error.message).toContain(
      `expected fingerprint ${formatFingerprint(client.fingerprint)}`,
    );
    expect(error.message).toContain(`got ${formatFingerprint(server.fingerprint)}`);
    // The server may have finished its side of the handshake or not, but there is nothing for it to
    // read.
    await until(() => arrivals.length === 1 || log.some((line) => line.startsWith("Rejecting")));
    for (const { socket } of arrivals) {
      socket.on("data", () => expect.unreachable());
      await once(socket, "close");
    }
  });
});

describe("keys of every kind", () => {
  const pems = {
    "RSA 2048": generateKeyPairSync("rsa", { modulusLength: 2048 }),
    "EC P-256": generateKeyPairSync("ec", { namedCurve: "P-256" }),
    "EC P-384": generateKeyPairSync("ec", { namedCurve: "P-384" }),
    Ed25519: generateKeyPairSync("ed25519"),
  };

  it.each(Object.entries(pems))("%s serves and dials", async (_, { privateKey }) => {
    const path = join(dir, "key.pem");
    writeFileSync(path, privateKey.export({ type: "pkcs8", format: "pem" }));
    const identity = Identity.load(path);
    const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
    const digest = createHash("sha256").update(spki).digest();
    const { listener, arrivals, until } = await listen(LOOPBACK, { identity });
    const socket = await dial(
      listener.address,
      { identity, fingerprint: identity.fingerprint },
      NEVER,
    );
    open.push({ close: () => socket.destroy() });
    await until(() => arrivals.length === 1);
    expect(arrivals[0]!.fingerprint).toEqual(digest);
  });

  it.each(["TLSv1.2", "TLSv1.3"] as const)("%s is spoken", async (version) => {
    const { listener, arrivals, until } = await listen();
    const raw = rawConnect(listener.address);
    const socket = tlsConnect({
      socket: raw,
      key: client.keyPem,
      cert: client.certificatePem,
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
    });
    await once(socket, "secureConnect");
    await until(() => arrivals.length === 1);
    expect(arrivals[0]!.fingerprint).toEqual(client.fingerprint);
  });
});

it("a client that resumes a session is known by its key again", async () => {
  const { listener, arrivals, until } = await listen();
  const connectWith = (session?: Buffer) =>
    tlsConnect({
      socket: rawConnect(listener.address),
      key: client.keyPem,
      cert: client.certificatePem,
      rejectUnauthorized: false,
      session,
    });
  const [ticket] = (await once(connectWith().resume(), "session")) as [Buffer];
  const again = connectWith(ticket);
  await once(again, "secureConnect");
  expect(again.isSessionReused()).toBe(true);
  await until(() => arrivals.length === 2);
  expect(arrivals[1]!.fingerprint).toEqual(client.fingerprint);
});

describe("a listener", () => {
  it("tells the port it got", async () => {
    const { listener } = await listen();
    expect(listener.address).toMatchObject({ kind: "tcp", host: "127.0.0.1" });
    expect(formatAddress(listener.address)).not.toBe("tcp:127.0.0.1:0");
  });

  it("says which address is taken", async () => {
    const { listener } = await listen();
    const error = await failure(listen(listener.address));
    expect(error.message).toBe(
      `Cannot listen on ${formatAddress(listener.address)}: another process listens there already`,
    );
  });

  it("replaces the socket file of a killed process, not that of a live one", async () => {
    const path = join(dir, "socket");
    const address: Address = { kind: "unix", path };
    const { listener } = await listen(address);
    expect((await failure(listen(address))).message).toMatch(/another process listens there/);
    listener.close();

    // What a killed process leaves: a socket file nobody listens at. Renaming keeps it from being
    // unlinked on close.
    const killed: Server = createServer().listen(`${path}.old`);
    await once(killed, "listening");
    renameSync(`${path}.old`, path);
    killed.close();
    expect(existsSync(path)).toBe(true);
    await listen(address);
  });

  it("does not remove a file that is no socket", async () => {
    const path = join(dir, "precious");
    writeFileSync(path, "data");
    const error = await failure(listen({ kind: "unix", path }));
    expect(error.message).toMatch(/: there is a file that is no socket$/);
    expect(existsSync(path)).toBe(true);
  });

  it("says where there is no place for it", async () => {
    const nowhere = join(dir, "nowhere");
    expect((await failure(listen({ kind: "unix", path: join(nowhere, "s") }))).message).toBe(
      `Cannot listen on unix:${nowhere}/s: there is no directory "${nowhere}"`,
    );
    const unknown: Address = { kind: "tcp", host: "host.invalid", port: 0 };
    expect((await failure(listen(unknown))).message).toMatch(
      /: (unknown host name|.*EAI_AGAIN.*)$/,
    );
  });

  it("accepts no more once it is closed, but keeps who is there", async () => {
    const { listener, arrivals, until } = await listen();
    const socket = await dialFor(listener.address, server.fingerprint);
    await until(() => arrivals.length === 1);
    listener.close();
    expect((await failure(dialFor(listener.address, server.fingerprint))).message).toMatch(
      /connection refused/,
    );
    arrivals[0]!.socket.write("still here");
    expect(String((await once(socket, "data"))[0])).toBe("still here");
  });

  it("turns away who has no certificate", async () => {
    const { listener, arrivals, logged } = await listen();
    const socket = tlsConnect({ socket: rawConnect(listener.address), rejectUnauthorized: false });
    socket.on("error", () => {}); // depends on who is faster
    await logged(/Rejecting .*: TLS connection failed: the peer presented no usable certificate/);
    expect(arrivals).toHaveLength(0);
  });

  it("turns away who speaks no TLS", async () => {
    const { listener, logged } = await listen();
    const raw = rawConnect(listener.address);
    raw.write("GET / HTTP/1.1\r\n\r\n");
    await logged(/Rejecting .*: TLS connection failed: .*does not speak TLS/);
  });

  it("turns away who does not finish the handshake in time", async () => {
    const { listener, logged } = await listen(LOOPBACK, { limits: { handshakeMs: 20 } });
    const raw = rawConnect(listener.address);
    await logged(/Rejecting .*: TLS handshake timed out/);
    if (!raw.closed) await once(raw, "close");
    expect(listener.handshaking).toBe(0);
  });

  it("lets real clients in through a flood of silent ones", async () => {
    const limits = { handshakes: 8, waitingHandshakes: 16 };
    const { listener, arrivals, logged, until } = await listen(LOOPBACK, { limits });
    const silent = Array.from({ length: 50 }, () => rawConnect(listener.address));
    await Promise.all(silent.map((socket) => once(socket, "connect")));
    await logged(/Rejecting .*: too many handshakes/);
    const real = await Promise.all(
      Array.from({ length: 8 }, () => dialFor(listener.address, server.fingerprint)),
    );
    await until(() => arrivals.length === real.length);
    expect(listener.handshaking).toBeLessThanOrEqual(limits.waitingHandshakes);
  });

  it("lets real clients in though many begin to speak and do not end", async () => {
    const limits = { handshakes: 2, handshakeTurnMs: 1e6 };
    const { listener, arrivals, until } = await listen(LOOPBACK, { limits });
    const hello = await clientHello();
    const hesitant = Array.from({ length: 20 }, () => rawConnect(listener.address));
    for (const [i, socket] of hesitant.entries()) socket.write(hello.subarray(0, i < 10 ? 1 : -1));
    await until(() => listener.handshaking === hesitant.length);
    await Promise.all(
      Array.from({ length: 4 }, () => dialFor(listener.address, server.fingerprint)),
    );
    await until(() => arrivals.length === 4);
    expect(listener.handshaking).toBe(hesitant.length);
    // It is not held against them.
    const late = hesitant.at(-1)!;
    late.write(hello.subarray(-1));
    await once(late, "data");
  });

  /** Clients that begin a handshake and do not go on with it. */
  async function stall(address: Address, count: number): Promise<Socket[]> {
    const hello = await clientHello();
    const stalled: Socket[] = [];
    for (let i = 0; i < count; i++) {
      const socket = rawConnect(address);
      socket.write(hello);
      await once(socket, "data"); // the server is at work, and waits for the client's next step
      stalled.push(socket);
    }
    return stalled;
  }

  it("makes as many handshakes at once as it may, and the others in the order in which they came", async () => {
    const limits = { handshakes: 2, handshakeTurnMs: 1e6 };
    const { listener, arrivals, log, until } = await listen(LOOPBACK, { limits });
    const [first] = await stall(listener.address, 2);
    const accepted = () => log.filter((line) => /^Accepting/.test(line)).length;
    const dialled: Promise<Socket>[] = [];
    for (let i = 0; i < 5; i++) {
      dialled.push(dialFor(listener.address, server.fingerprint));
      await until(() => accepted() === 3 + i);
    }
    expect(listener.handshaking).toBe(7);
    expect(arrivals).toHaveLength(0);
    first!.destroy();
    await Promise.all(dialled);
    await until(() => arrivals.length === 5);
    const ports = (await Promise.all(dialled)).map(({ localPort }) => `tcp:127.0.0.1:${localPort}`);
    expect(arrivals.map(({ description }) => description)).toEqual(ports);
  });

  it("lets others have their turn beside a handshake that takes long, and drops the longest of many", async () => {
    const limits = { handshakes: 1, handshakeTurnMs: 20, slowHandshakes: 2 };
    const { listener, arrivals, logged, until } = await listen(LOOPBACK, { limits });
    const [longest] = await stall(listener.address, 3);
    await dialFor(listener.address, server.fingerprint);
    await until(() => arrivals.length === 1);
    await logged(/Rejecting .*: too many handshakes/);
    if (!longest!.closed) await once(longest!, "close");
    expect(listener.handshaking).toBe(2);
  });

  it("drops who has been silent for the longest when too many wait", async () => {
    const limits = { handshakes: 1, handshakeTurnMs: 1e6, waitingHandshakes: 2 };
    const { listener, logged, until } = await listen(LOOPBACK, { limits });
    await stall(listener.address, 1);
    const [silent] = [rawConnect(listener.address), rawConnect(listener.address)];
    await until(() => listener.handshaking === 3);
    const hello = await clientHello();
    const speaking = rawConnect(listener.address);
    speaking.write(hello);
    await logged(/too many handshakes/);
    if (!silent.closed) await once(silent, "close");
    expect(listener.handshaking).toBe(3);
    listener.close();
    expect(listener.handshaking).toBeLessThanOrEqual(1);
  });
});

describe("dialling", () => {
  it("says that nobody listens", async () => {
    const { listener } = await listen();
    listener.close();
    const error = await failure(dialFor(listener.address, server.fingerprint));
    expect(error).toMatchObject({ kind: "disconnected", code: "unreachable" });
    expect(error.message).toBe(
      `Cannot connect to ${formatAddress(listener.address)}: connection refused; nothing listens there`,
    );
    const missing: Address = { kind: "unix", path: join(dir, "none") };
    expect((await failure(dialFor(missing, undefined))).message).toMatch(/no such socket/);
  });

  it("says that the server does not speak TLS, or hung up", async () => {
    const answers = ["HTTP/1.1 400 Bad Request\r\n\r\n", undefined];
    for (const answer of answers) {
      const plain = createServer((socket) => {
        socket.on("error", () => {});
        if (answer) socket.write(answer);
        else socket.end();
      });
      open.push(plain);
      plain.listen(0, "127.0.0.1");
      await once(plain, "listening");
      const { port } = plain.address() as { port: number };
      const address: Address = { kind: "tcp", host: "127.0.0.1", port };
      const error = await failure(dialFor(address, server.fingerprint));
      expect(error.kind).toBe(answer ? "failed" : "disconnected");
      expect(error.message).toMatch(answer ? /does not speak TLS/ : /ended the connection/);
    }
  });

  it("stops when told to, with the reason that was given", async () => {
    const silent = createServer();
    open.push(silent);
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as { port: number };
    const stop = new AbortController();
    const attempt = failure(
      dialFor({ kind: "tcp", host: "127.0.0.1", port }, server.fingerprint, stop.signal),
    );
    const [accepted] = (await once(silent, "connection")) as [Socket];
    const reason = new RpcError("disconnected", "out of patience");
    stop.abort(reason);
    expect(await attempt).toBe(reason);
    await once(accepted.resume(), "close");
  });
});
