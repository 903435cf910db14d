/*
 * A BuildKit session's methods, called as an engine calls them: by HTTP/2, with what an engine
 * never sends, too.
 */

import { once } from "node:events";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { utimes, writeFile } from "node:fs/promises";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { deferred } from "../../src/async/index.js";
import { sessionMethods } from "../../src/worker/docker/buildkit-session.js";
import { serveGrpc } from "../../src/worker/docker/grpc.js";
import { encodeMessage, Message } from "../../src/worker/docker/protobuf.js";
import {
  type SessionDirectory,
  sessionDirectories,
} from "../../src/worker/docker/session-files.js";

const [STAT, REQ, DATA, FIN, ERR] = [0, 1, 2, 3, 4];

let src: string;
let directories: Map<string, SessionDirectory>;
let engine: ClientHttp2Session;
let close: () => void;

beforeEach(async () => {
  src = mkdtempSync(join(tmpdir(), "ocluster-session-"));
  await writeFile(join(src, "Dockerfile"), "FROM scratch");
  directories = new Map(await sessionDirectories(src, "Dockerfile"));
  const methods = sessionMethods({
    directories,
    secrets: new Map([["token", Buffer.from("s3cr3t")]]),
    registryAuth: async () => undefined,
  });
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const socket = createConnection(port, "127.0.0.1");
  const [accepted] = await once(server, "connection");
  server.close();
  ({ close } = serveGrpc(accepted, methods));
  engine = connect("http://engine", { createConnection: () => socket });
  engine.on("error", () => {});
  await once(engine, "remoteSettings");
});

afterEach(() => {
  engine.destroy();
  close();
  rmSync(src, { recursive: true });
});

/** One call of an engine's. */
class Call {
  readonly stream: ClientHttp2Stream;
  readonly status: Promise<{ code: number; message: string }>;
  readonly #messages: AsyncIterator<Message>;

  constructor(path: string, headers: Record<string, string | string[]> = {}) {
    this.stream = engine.request({ ":method": "POST", ":path": path, ...headers });
    this.stream.on("error", () => {});
    this.status = once(this.stream, "trailers").then(([trailers]) => ({
      code: Number(trailers["grpc-status"]),
      message: decodeURIComponent(trailers["grpc-message"]),
    }));
    this.status.catch(() => {});
    this.#messages = read(this.stream);
  }

  static copy(name: string, headers: Record<string, string | string[]> = {}): Call {
    return new Call("/moby.filesync.v1.FileSync/DiffCopy", { "dir-name": name, ...headers });
  }

  say(fields: Parameters<typeof encodeMessage>[0]): void {
    const message = encodeMessage(fields);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    this.stream.write(Buffer.concat([prefix, message]));
  }

  async next(): Promise<Message | undefined> {
    const { done, value } = await this.#messages.next();
    return done ? undefined : value;
  }

  /** All that is announced. */
  async stats(): Promise<Message[]> {
    const stats: Message[] = [];
    for (;;) {
      const packet = await this.next();
      expect(packet?.number(1)).toBe(STAT);
      const stat = packet!.message(2);
      if (!stat) return stats;
      stats.push(stat);
    }
  }

  async paths(): Promise<string[]> {
    return (await this.stats()).map((stat) => stat.text(1));
  }

  /** The content of a file. */
  async file(place: number): Promise<Buffer> {
    this.say({ 1: REQ, 3: place });
    const parts: Uint8Array[] = [];
    for (;;) {
      const packet = await this.next();
      expect([packet?.number(1), packet?.number(3)]).toEqual([DATA, place]);
      if (packet!.bytes(4).length === 0) return Buffer.concat(parts);
      parts.push(packet!.bytes(4));
    }
  }

  /** Ends the call well. */
  async finish(): Promise<void> {
    this.say({ 1: FIN });
    expect((await this.next())?.number(1)).toBe(FIN);
    expect(await this.status).toEqual({ code: 0, message: "" });
  }
}

async function* read(stream: ClientHttp2Stream): AsyncGenerator<Message> {
  let rest = Buffer.alloc(0);
  for await (const data of stream.iterator({ destroyOnReturn: false })) {
    rest = Buffer.concat([rest, data]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const end = 5 + rest.readUInt32BE(1);
      yield new Message(rest.subarray(5, end));
      rest = rest.subarray(end);
    }
  }
}

const write = (name: string, content: string | Buffer = name) =>
  writeFile(join(src, name), content);

/** The paths of what this process has open in the context. */
function openFiles(): string[] {
  const links = readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // It was the listing's own.
    }
  });
  return links.filter((path) => path.startsWith(src));
}

describe("a directory", () => {
  it("is announced in the order of its paths, and files come on request", async () => {
    mkdirSync(join(src, "a"));
    for (const name of ["a/z", "a-b", "b"]) await write(name);
    symlinkSync("/elsewhere", join(src, "link"));
    linkSync(join(src, "a-b"), join(src, "same"));
    await utimes(join(src, "b"), new Date(-1500), new Date(-1500));
    const call = Call.copy("context");
    const stats = await call.stats();
    expect(stats.map((stat) => [stat.text(1), stat.text(7)])).toEqual([
      ["Dockerfile", ""],
      ["a", ""],
      ["a/z", ""],
      ["a-b", ""],
      ["b", ""],
      ["link", "/elsewhere"],
      ["same", "a-b"],
    ]);
    // In Go's bits.
    expect(stats.map((stat) => (stat.number(2) / 2 ** 27) | 0)).toEqual([0, 16, 0, 0, 0, 1, 0]);
    // As two's complement, which a number of JavaScript has not room for.
    expect(2 ** 64 - stats[4]!.number(6)).toBeCloseTo(1.5e9, -4);
    expect(await call.file(2)).toEqual(Buffer.from("a/z"));
    expect(await call.file(0)).toEqual(Buffer.from("FROM scratch"));
    await call.finish();
  });

  it("is only what is asked for, and what links there lead to", async () => {
    for (const name of ["one", "two", "three"]) await write(name);
    mkdirSync(join(src, "real"));
    await write("real/x");
    await write("real/y");
    symlinkSync("real", join(src, "link"));
    symlinkSync("../../../etc", join(src, "out"));
    symlinkSync("round", join(src, "round"));
    const followed = async (...followpaths: string[]) =>
      Call.copy("context", { followpaths }).paths();
    expect(await followed(".dockerignore")).toEqual([]);
    expect(await followed("t*", "link/x")).toEqual(["link", "real", "real/x", "three", "two"]);
    expect(await followed("*/y", "nowhere")).toEqual(["link", "out", "real", "real/y", "round"]);
    expect(await followed("out/passwd", "round/x")).toEqual(["out", "round"]);
    expect(await followed("/")).toContain("real/x");
    const patterns = { "include-patterns": ["real", "t*"], "exclude-patterns": ["**/x", "two"] };
    expect(await Call.copy("context", patterns).paths()).toEqual(["real", "real/y", "three"]);
    const encoded = { "include-patterns": "%C3%BC+1", "include-patterns-encoded": "1" };
    await write("ü 1");
    expect(await Call.copy("context", encoded).paths()).toEqual(["ü 1"]);
  });

  it("is what more paths than HTTP/2 usually has headers lead to", async () => {
    await write("a, b");
    const many = Array.from({ length: 1000 }, (_, i) => `nowhere-${i}`);
    expect(await Call.copy("context", { followpaths: [...many, "a, b"] }).paths()).toEqual([
      "a, b",
    ]);
  });

  it("of the Dockerfile has that, and an ignore file that ignores nothing", async () => {
    await write("Dockerfile.dockerignore", "*");
    await write("other");
    const call = Call.copy("dockerfile");
    expect(await call.paths()).toEqual(["Dockerfile", "Dockerfile.dockerignore"]);
    expect(String(await call.file(1))).toMatch(/^#[^\n]*\n$/);
    await call.finish();
  });

  it("that is none of the session's is refused", async () => {
    expect(await Call.copy("/etc").status).toEqual({
      code: 5,
      message: 'There is no directory "/etc"',
    });
  });
});

describe("an engine", () => {
  it.each([
    ["a directory", 1],
    ["a link", 2],
    ["what was never announced", 99],
    ["a file twice", 0],
  ])("that asks for %s is refused", async (_what, place) => {
    mkdirSync(join(src, "a"));
    symlinkSync("/etc/passwd", join(src, "b"));
    const call = Call.copy("context");
    await call.stats();
    if (place === 0) await call.file(0);
    call.say({ 1: REQ, 3: place });
    const packet = await call.next();
    expect([packet?.number(1), packet?.text(4)]).toEqual([
      ERR,
      `There is no file ${place} to ask for`,
    ]);
    expect((await call.status).code).toBe(5);
  });

  it("never gets what has taken a file's place", async () => {
    await write("f");
    const call = Call.copy("context");
    expect(await call.paths()).toEqual(["Dockerfile", "f"]);
    rmSync(join(src, "f"));
    symlinkSync("/etc/passwd", join(src, "f"));
    call.say({ 1: REQ, 3: 1 });
    expect((await call.next())?.text(4)).toMatch(/^ELOOP/);
  });

  it("that gives up, leaves early, or talks nonsense ends the call", async () => {
    const gaveUp = Call.copy("context");
    gaveUp.say({ 1: ERR, 4: "disk full" });
    expect((await gaveUp.status).message).toBe("The engine gave up: disk full");
    const left = Call.copy("context");
    left.stream.end();
    expect((await left.status).message).toBe("The engine left before it had all files");
    const nonsense = Call.copy("context");
    nonsense.stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
    expect((await nonsense.status).message).toBe("The message is too long");
    const compressed = Call.copy("context");
    compressed.stream.write(Buffer.from([1, 0, 0, 0, 0]));
    expect((await compressed.status).code).toBe(12);
    expect((await new Call("/no/method").status).code).toBe(12);
    // And the session is as good as before.
    await Call.copy("dockerfile").finish();
  });

  it("sets the pace, and closes all when it is gone", async () => {
    let taken = 0;
    const waits = deferred();
    const ended = deferred();
    directories.set("endless", async function* () {
      const name = { path: Buffer.from("f"), mode: 0o100644, size: 0n, mtime: 0n };
      yield {
        ...name,
        async *read() {
          try {
            for (;;) {
              setImmediate(() => waits.resolve());
              yield Buffer.alloc(64 * 1024);
              taken++;
            }
          } finally {
            ended.resolve();
          }
        },
      };
    });
    const call = Call.copy("endless");
    await call.stats();
    call.stream.pause();
    call.say({ 1: REQ, 3: 0 });
    await waits.promise;
    // Both windows of HTTP/2 are of 64 KiB at first; what waits for room behind them is one piece.
    for (let calm = 0, before = -1; calm < 50; calm = taken === before ? calm + 1 : 0) {
      before = taken;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(taken).toBeLessThan(64);
    call.stream.close(8); // CANCEL
    await ended.promise;
  });

  it("that goes away in the middle of a file leaves none open", async () => {
    await write("big", Buffer.alloc(8 * 1024 * 1024));
    const call = Call.copy("context");
    await call.stats();
    call.say({ 1: REQ, 3: 1 });
    await call.next();
    expect(openFiles()).toEqual([join(src, "big")]);
    engine.destroy();
    while (openFiles().length > 0) await new Promise((resolve) => setImmediate(resolve));
  });
});

describe("a secret", () => {
  it("is given by its id, and what there is not is named", async () => {
    const path = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
    const known = new Call(path);
    known.say({ 1: "token" });
    expect((await known.next())?.text(1)).toBe("s3cr3t");
    expect((await known.status).code).toBe(0);
    const unknown = new Call(path);
    unknown.say({ 1: "ünknown" });
    expect(await unknown.status).toEqual({ code: 5, message: "secret ünknown: not found" });
  });
});
