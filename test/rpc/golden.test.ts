/**
 * Recorded connections of the reference (OCaml capnp-rpc 1.2.4): every message is understood, and
 * can be answered.
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Admin$Client, JobDescr, PoolAdmin$Client } from "../../src/api/generated/ocluster.js";
import { Connection, memoryTransportPair, method, serve } from "../../src/rpc/index.js";
import { Payload } from "../../src/rpc/payload/payload.js";
import { readPayload } from "../../src/rpc/wire/decode.js";
import { MessageWriter } from "../../src/rpc/wire/encode.js";
import { MESSAGE } from "../../src/rpc/wire/layout.js";
import { NO_PATH } from "../../src/rpc/wire/messages.js";
import { golden } from "../support/golden.js";
import { describeStream, eachMessage, messages } from "./support/describe.js";
import { NOTHING, settle } from "./support/pair.js";

const GOLDEN = golden("rpc/");
const FILES = readdirSync(GOLDEN).filter((name) => name.endsWith(".bin"));

function read(name: string): Uint8Array {
  return readFileSync(`${GOLDEN}${name}.bin`);
}

test.each(FILES)("%s is understood", (file) => {
  const lines = describeStream(readFileSync(GOLDEN + file));
  expect(lines.length).toBeGreaterThan(3);
  expect(lines.filter((line) => line.startsWith("message"))).toEqual([]);
});

test("what a client says and hears for one job", () => {
  expect(describeStream(read("client-submit-docker.to-server")).slice(0, 9)).toEqual([
    "bootstrap 0 id of 20 bytes",
    "call 1 answer:0 0xf4e8a768b32a7c42.0",
    "call 2 answer:1.0 0x9497c03b7ca5b27b.0",
    "call 3 answer:2.0 0xca66fd1f972efccc.1",
    "call 4 answer:2.0 0xca66fd1f972efccc.0",
    "finish 2",
    "finish 1",
    "finish 0",
    "release 0 × 1",
  ]);
  expect(describeStream(read("client-submit-docker.to-client")).slice(0, 4)).toEqual([
    "return 2 results [promise:0]",
    "return 1 results [sender:1]",
    "return 0 results [sender:2]",
    "resolve 0 to sender:3",
  ]);
  expect(describeStream(read("client-submit-docker.to-client")).at(-1)).toBe(
    "abort disconnected: Switch turned off",
  );
});

test("a job's description is read, and is the same after it was passed on", () => {
  const descriptions: JobDescr[] = [];
  eachMessage(read("worker-one-job.to-client"), (body, tag) => {
    // The second answer is that to `pop`, or the params of a call.
    if (tag !== MESSAGE.return || body.u32(0) !== 2) return;
    const { content } = readPayload(body.struct(0));
    content!.check();
    const writer = new MessageWriter(() => {});
    writer.returnResults(7, content, [], false);
    const passedOn = Buffer.concat(writer.take());
    const original = new Payload(content, []).field(0);
    descriptions.push(original.as(JobDescr));
    eachMessage(passedOn, (again) => {
      expect(again.u32(0)).toBe(7);
      const copy = readPayload(again.struct(0)).content!.check();
      descriptions.push(new Payload(copy, []).field(0).as(JobDescr));
    });
  });
  const [original, copy] = descriptions;
  expect(original!.action._isDockerBuild).toBe(true);
  expect(copy!.action.dockerBuild.dockerfile.contents).toBe(
    original!.action.dockerBuild.dockerfile.contents,
  );
  expect(copy!.action.dockerBuild.dockerfile.contents).toMatch(/^FROM /i);
});

describe("replayed into a server", () => {
  async function replay(name: string, server: Parameters<typeof serve>[1]) {
    const [ours, theirs] = memoryTransportPair();
    const connection = new Connection(ours, { bootstrap: () => serve("root", server) });
    const heard: Uint8Array[] = [];
    theirs.start({
      onData: (chunk) => heard.push(chunk.slice()),
      onDrain() {},
      onClose() {},
    });
    for (const message of messages(read(`${name}.to-server`))) {
      // Byte by byte: no message is in one piece.
      for (const byte of message) theirs.write([Uint8Array.of(byte)]);
      await settle();
    }
    return { connection, heard: describeStream(Buffer.concat(heard)) };
  }

  test("the state of a pool is asked for", async () => {
    const pool = () =>
      serve("pool", [
        method(PoolAdmin$Client.methods[0], (call) => {
          call.results().state = "all is well";
        }),
      ]);
    const { connection, heard } = await replay("admin-show-pool", [
      method(Admin$Client.methods[1], (call) => {
        expect(call.params.name).toBe("linux-x86_64");
        call.setCapability(0, pool());
      }),
    ]);
    expect(heard).toEqual([
      "return 0 results [sender:0]",
      "return 1 results [sender:1]",
      "return 2 results final",
    ]);
    expect(connection.error).toBeUndefined();
    expect(connection.stats()).toEqual(NOTHING);
  });

  test("a client is added that exists: the call on what was to come of it fails with the same error", async () => {
    const { connection, heard } = await replay("admin-add-client-again", [
      method(Admin$Client.methods[2], (call) => {
        throw new Error(`Client "${call.params.id}" already registered!`);
      }),
    ]);
    expect(heard).toEqual([
      "return 0 results [sender:0]",
      'return 1 failed: Client "zoe" already registered!',
      'return 2 failed: Client "zoe" already registered!',
    ]);
    expect(connection.stats()).toEqual(NOTHING);
  });
});

test("an object id is sent as it was received", () => {
  const writer = new MessageWriter(() => {});
  const id = Uint8Array.from({ length: 32 }, (_, i) => i * 8 + 128);
  writer.bootstrap(0, id);
  writer.call(1, { kind: "answer", id: 0, path: NO_PATH }, 0, 1, 2, undefined, [], false);
  expect(describeStream(Buffer.concat(writer.take()))).toEqual([
    "bootstrap 0 id of 32 bytes",
    "call 1 answer:0 0x1.2",
  ]);
});
