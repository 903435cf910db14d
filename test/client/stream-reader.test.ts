/** Where a client reads files: in the object store, or at the scheduler. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Admin, JobRecords, OutputLinks } from "../../src/api/index.js";
import { Bucket } from "../../src/artefacts/index.js";
import { StreamReader } from "../../src/client/outputs/stream-reader.js";
import type { Capability } from "../../src/rpc/index.js";
import { KEYS, ObjectStore, REGION } from "../support/object-store.js";

const STREAM = Buffer.from(Uint8Array.from({ length: 9_000_000 }, (_, at) => at >> 10));

let store: ObjectStore;
/** Bytes that the scheduler has given. */
let relayed: number;

beforeEach(async () => {
  store = await ObjectStore.start();
  store.objects.set("7-1", STREAM);
  relayed = 0;
});

afterEach(() => store.stop());

/** A scheduler with the stream, and with links if `link` gives them. */
function scheduler(link?: () => Promise<OutputLinks.OutputLink | undefined>): Capability {
  const never = () => Promise.reject(new Error("not asked for"));
  const none = () => {
    throw new Error("not asked for");
  };
  const records: JobRecords.JobRecordsService = {
    ...{ list: never, get: never, log: never, cancelJob: never, retry: never, usage: never },
    outputs: async () => ({ attempt: 1, size: STREAM.length }),
    readOutputs: async ({ limit, start }) => {
      const data = STREAM.subarray(start, start + limit);
      relayed += data.length;
      return data;
    },
  };
  const admin = { pools: none, pool: none, addClient: none, removeClient: none, listClients: none };
  return Admin.local(admin, [
    ...JobRecords.jobRecordsMethods(records),
    ...(link ? OutputLinks.outputLinksMethods({ link }) : []),
  ]);
}

const bucket = () =>
  new Bucket(
    { bucket: store.bucket, endpoint: store.endpoint, prefix: "", region: REGION },
    () => KEYS,
  );

const linkFor = async (seconds = 300) => ({ url: await bucket().readUrl("7-1"), seconds });

async function read(reader: StreamReader, records: Capability, from: number, to: number) {
  const parts: Uint8Array[] = [];
  for await (const part of reader.read(records, from, to)) parts.push(part);
  return Buffer.concat(parts).equals(STREAM.subarray(from, to));
}

describe("a stream", () => {
  it("is read in the store, by one link for many parts, and by a new one when that is old", async () => {
    let links = 0;
    using records = scheduler(() => {
      links++;
      return linkFor(links === 1 ? 300 : 0);
    });
    const reader = new StreamReader(7, 1);
    expect(await read(reader, records, 5, STREAM.length)).toBe(true);
    expect([links, relayed]).toEqual([1, 0]);
    const late = new StreamReader(7, 1);
    expect(await read(late, records, 0, STREAM.length)).toBe(true);
    expect(links).toBeGreaterThan(2);
    expect(relayed).toBe(0);
  });

  it.each([
    ["the scheduler is older", undefined],
    ["there is no store", async () => undefined],
    ["nobody is there", async () => ({ url: "http://127.0.0.1:1/x", seconds: 300 })],
    ["the link is refused", async () => ({ url: `${store.endpoint}/x`, seconds: 300 })],
  ])("comes from the scheduler if %s", async (_, link) => {
    using records = scheduler(link);
    expect(await read(new StreamReader(7, 1), records, 0, STREAM.length)).toBe(true);
    expect(relayed).toBe(STREAM.length);
  });

  it("goes on at the scheduler when the store goes away, and stays there", async () => {
    using records = scheduler(linkFor);
    const reader = new StreamReader(7, 1);
    expect(await read(reader, records, 0, 5_000_000)).toBe(true);
    expect(relayed).toBe(0);
    store.isAway = true;
    expect(await read(reader, records, 5_000_000, 6_000_000)).toBe(true);
    store.isAway = false;
    expect(await read(reader, records, 6_000_000, 7_000_000)).toBe(true);
    expect(relayed).toBe(2_000_000);
  });

  it("is read once more if the store gives less than it says", async () => {
    using records = scheduler(linkFor);
    const reader = new StreamReader(7, 1);
    expect(await read(reader, records, 0, 1000)).toBe(true);
    store.short = 10;
    store.before = () => {
      if (store.requests.length > 3) store.short = 0;
    };
    expect(await read(reader, records, 1000, 3_000_000)).toBe(true);
    expect(relayed).toBe(0);
    expect(store.requests.length).toBeGreaterThan(3);
  });
});
