/**
 * An old worker and an old client, C++ programs that know nothing but the reference's schema, with
 * a scheduler that has durable jobs and keeps records of attached ones.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { JobRecords } from "../../src/api/index.js";
import { type Address, Identity } from "../../src/rpc/index.js";
import { Network, type TestClient, untilRecord } from "../scheduler/network.js";
import { buildCppPeer, CppMember, TlsFiles } from "./cpp-peer.js";

beforeAll(buildCppPeer);

const identity = Identity.ephemeral();

let directory: string;
let keys: TlsFiles[];
let network: Network;
let alice: TestClient;
let members: CppMember[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-old-"));
  keys = [];
  network = await Network.start({ identity, durable: directory });
  alice = await network.client("alice");
  members = [];
});

afterEach(async () => {
  for (const member of members) await member.kill();
  await network.stop();
  for (const files of keys) files[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

function member(role: "worker" | "client", what: string, id: Uint8Array): CppMember {
  const address: Address = { kind: "tcp", host: "127.0.0.1", port: network.port };
  const hex = Buffer.from(id).toString("hex");
  // Each its own key: of two connections with the same one, the older is given up.
  const tls = new TlsFiles(Identity.ephemeral(), identity);
  keys.push(tls);
  const started = CppMember.start(role, what, address, ...tls.arguments, "--id", hex);
  members.push(started);
  return started;
}

async function oldWorker(name: string): Promise<CppMember> {
  const worker = member("worker", name, network.ref("pool-pool").id);
  expect(await worker.says()).toBe("registered");
  return worker;
}

function oldClient(): CppMember {
  return member("client", "pool", network.secrets.get("alice")!);
}

async function recordsOfAll(): Promise<readonly JobRecords.JobRecord[]> {
  const filter = { filter: {}, limit: 10 };
  return (await JobRecords.list(await network.admin(), filter)).jobs;
}

it("an old client's job on an old worker is on record", async () => {
  const worker = await oldWorker("old");
  const client = oldClient();
  expect(await worker.says()).toBe("job (from old)");
  worker.tell("print building");
  expect(await client.says()).toBe("log building");
  worker.tell("done image");
  expect(await client.says()).toBe("result image");
  expect(await client.says()).toBeUndefined();
  expect(await worker.says()).toBe("released");
  expect(await recordsOfAll()).toMatchObject([
    {
      ...{ attached: true, client: "alice", pool: "pool", hint: "old-hint" },
      ...{ state: "succeeded", output: "image" },
      attempts: [{ attempt: 1, worker: "old", outcome: "succeeded" }],
    },
  ]);
});

it("an old client's job that fails, and one whose client vanishes, are on record as such", async () => {
  const worker = await oldWorker("old");
  const first = oldClient();
  expect(await worker.says()).toBe("job (from old)");
  worker.tell("fail no luck");
  expect(await first.says()).toMatch(/^failed .*no luck/);
  expect(await worker.says()).toBe("released");
  const second = oldClient();
  expect(await worker.says()).toBe("job (from old)");
  worker.tell("print building");
  expect(await second.says()).toBe("log building");
  const connections = network.vat.connectionCount;
  await second.kill();
  await expect.poll(() => network.vat.connectionCount).toBe(connections - 1);
  worker.tell("fail cancelled");
  expect(await worker.says()).toBe("released");
  await expect.poll(recordsOfAll).toMatchObject([
    { state: "cancelled", attempts: [{ outcome: "cancelled" }] },
    { state: "failed", reason: expect.stringContaining("no luck") },
  ]);
});

it("an old worker runs a durable job: its log is followed, its outcome on record", async () => {
  const [good, bad] = [await alice.submitDurable("(good)"), await alice.submitDurable("(bad)")];
  const worker = await oldWorker("old");
  expect(await worker.says()).toBe("job (good)");
  const log = alice.durableLog(good);
  worker.tell("print first");
  await untilRecord(alice.submission, good, ({ started }) => started !== null);
  worker.tell("print second");
  worker.tell("done image");
  expect(await log).toBe("first\nsecond\n");
  expect(await alice.ended(good)).toMatchObject({
    ...{ attached: false, state: "succeeded", output: "image" },
    attempts: [{ attempt: 1, worker: "old", outcome: "succeeded", logSize: 13 }],
  });
  const said = [await worker.says(), await worker.says()];
  expect(said.sort()).toEqual(["job (bad)", "released"]);
  worker.tell("fail no luck");
  expect(await alice.ended(bad)).toMatchObject({
    ...{ state: "failed", cause: "failed", reason: expect.stringContaining("no luck") },
    attempts: [{ outcome: "failed" }],
  });
});

it("a durable job of an old worker that is killed is lost at once, and tried again", async () => {
  const id = await alice.submitDurable("(one)");
  const first = await oldWorker("old-1");
  expect(await first.says()).toBe("job (one)");
  first.tell("print half of it");
  const size = async () => (await alice.record(id)).attempts[0]?.logSize;
  await expect.poll(size).toBe(11);
  // An old one would not know the job any more if it came back. The lease, which others have, is
  // ten minutes.
  await first.kill();
  const second = await oldWorker("old-2");
  expect(await second.says()).toBe("job (one)");
  second.tell("done image");
  const { attempts, state } = await alice.ended(id);
  expect(state).toBe("succeeded");
  expect(attempts).toMatchObject([
    { attempt: 1, worker: "old-1", outcome: "lost", logSize: 11 },
    { attempt: 2, worker: "old-2", outcome: "succeeded" },
  ]);
  expect(attempts[0]!.reason).toContain("was disconnected");
  expect(await alice.durableLog(id, 1)).toBe("half of it\n");
});

it("a durable job is stopped at its old worker when it is cancelled", async () => {
  const id = await alice.submitDurable("(one)");
  const worker = await oldWorker("old");
  expect(await worker.says()).toBe("job (one)");
  await untilRecord(alice.submission, id, ({ started }) => started !== null);
  await JobRecords.cancel(alice.submission, id, "not needed");
  expect(await worker.says()).toBe("cancelled");
  worker.tell("fail cancelled");
  expect(await alice.ended(id)).toMatchObject({ state: "cancelled", reason: "not needed" });
  // It is free for the next one.
  const next = await alice.submitDurable("(two)");
  const said = [await worker.says(), await worker.says()];
  expect(said.sort()).toEqual(["job (two)", "released"]);
  worker.tell("done image");
  expect(await alice.ended(next)).toMatchObject({ state: "succeeded" });
});
