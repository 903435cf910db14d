/** A bucket, in a store that believes nothing. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Bucket, type BucketPlace, checkBucket, type Written } from "../../src/artefacts/index.js";
import { readRange, send } from "../../src/artefacts/transfer.js";
import { KEYS, ObjectStore, REGION } from "../support/object-store.js";

let store: ObjectStore;

beforeEach(async () => {
  store = await ObjectStore.start();
});

afterEach(() => store.stop());

function bucketWith(place: Partial<BucketPlace> = {}, keys: object = {}): Bucket {
  const { bucket, endpoint } = store;
  return new Bucket({ bucket, endpoint, prefix: "pre/fix", region: REGION, ...place }, () => ({
    ...KEYS,
    ...keys,
  }));
}

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => "taken",
    (error) => error.code,
  );

function write(url: string, data: string, method: "PUT" | "GET" = "PUT") {
  return send({ method, url, body: { length: data.length, read: () => [Buffer.from(data)] } });
}

describe("a URL", () => {
  it("reads or writes what it was signed for, and nothing else", async () => {
    const bucket = bucketWith();
    const written: Written = { key: "7-1", length: 5 };
    const url = await bucket.writeUrl(written);
    await write(url, "seven");
    expect(store.objects.get("pre/fix/7-1")?.toString()).toBe("seven");
    expect((await readRange(await bucket.readUrl("7-1"), 1, 3)).toString()).toBe("eve");
    expect(await refusal(write(url, "longer"))).toBe("SignatureDoesNotMatch");
    expect(await refusal(write(url.replace("7-1", "8-1"), "eight"))).toBe("SignatureDoesNotMatch");
    expect(await refusal(write(await bucket.readUrl("7-1"), "seven"))).toBe(
      "SignatureDoesNotMatch",
    );
    expect(await refusal(readRange(url, 0, 1))).toBe("SignatureDoesNotMatch");
    const late = url.replace("Expires=300", "Expires=600");
    expect(await refusal(write(late, "seven"))).toBe("SignatureDoesNotMatch");
    expect(store.objects.size).toBe(1);
  });

  it("is of no use when it is too old", async () => {
    const now = Date.now();
    const RealDate = globalThis.Date;
    class Earlier extends RealDate {
      constructor(...args: []) {
        super(...((args.length > 0 ? args : [now - 301_000]) as []));
      }
    }
    globalThis.Date = Earlier as DateConstructor;
    const url = await bucketWith()
      .writeUrl({ key: "7-1", length: 5 })
      .finally(() => {
        globalThis.Date = RealDate;
      });
    expect(await refusal(write(url, "seven"))).toBe("AccessDenied");
  });
});

describe("an upload in parts", () => {
  it("is begun, filled, completed, listed and aborted", async () => {
    store.page = 2;
    const bucket = bucketWith();
    const upload = await bucket.begin("9-1");
    const parts = [1, 2, 3, 4, 5].map((part) => ({ part, data: "x".repeat(5 * 1024 ** 2 + part) }));
    for (const { data, part } of parts) {
      const url = await bucket.writeUrl({ key: "9-1", length: data.length, of: { upload, part } });
      await write(url, data);
    }
    const there = await bucket.parts("9-1", upload);
    expect(there.map(({ part, size }) => size - 5 * 1024 ** 2 - part)).toEqual([0, 0, 0, 0, 0]);
    const other = await bucketWith({ prefix: "pre" }).begin("else");
    const more = [await bucket.begin("9-2"), await bucket.begin("9-2")];
    const open = await bucket.openUploads("");
    expect(open.map((one) => one.upload).sort()).toEqual([upload, ...more].sort());
    expect(open.map(({ key }) => key)).toEqual(["9-1", "9-2", "9-2"]);
    await bucket.complete("9-1", upload, there.toReversed());
    expect(await bucket.size("9-1")).toBe(parts.reduce((sum, { data }) => sum + data.length, 0));
    expect(await refusal(bucket.complete("9-1", upload, there))).toBe("NoSuchUpload");
    for (const one of more) await bucket.abort("9-2", one);
    await bucket.abort("9-2", more[0]!);
    expect([...store.uploads.keys()]).toEqual([other]);
    await bucket.remove("9-1");
    await bucket.remove("9-1");
    expect(await bucket.size("9-1")).toBeUndefined();
  });

  it("is tried again while its store is in trouble, and not when it is refused", async () => {
    let tries = 0;
    store.before = () => {
      if (++tries < 3) throw new Error("cut");
    };
    await bucketWith().begin("1-1");
    expect(tries).toBe(3);
    store.full = 507;
    await expect(bucketWith().put("1-2", Buffer.from("x"))).rejects.toMatchObject({ status: 507 });
    store.full = 0;
    const { length } = store.requests;
    await expect(bucketWith({}, { secretAccessKey: "no" }).begin("1-3")).rejects.toThrow(
      /Signature/,
    );
    expect(store.requests.length).toBe(length);
  });
});

describe("a store that cannot be used", () => {
  const told = (bucket: Bucket) =>
    checkBucket(bucket, "book").then(
      () => "fine",
      (error) => `${error.passes} ${error.message}`,
    );

  it("is told of in words, with what to do", async () => {
    expect(await told(bucketWith())).toBe("fine");
    expect(store.objects.size).toBe(0);
    expect(await told(bucketWith({}, { secretAccessKey: "wrong" }))).toMatch(
      /^false The object store s3:\/\/artefacts\/pre\/fix at 127.* status 403 \(SignatureDoesNotMatch.*check AWS_SECRET_ACCESS_KEY/,
    );
    expect(await told(bucketWith({}, { accessKeyId: "nobody" }))).toMatch(
      /check AWS_ACCESS_KEY_ID/,
    );
    expect(await told(bucketWith({ bucket: "none" }))).toMatch(/There is no bucket none: make it/);
    expect(await told(bucketWith({ region: "else" }))).toMatch(/--artefacts-region/);
    store.full = 507;
    expect(await told(bucketWith())).toMatch(/^true .* It is full/);
    store.full = 0;
    store.isAway = true;
    expect(await told(bucketWith())).toMatch(
      /^true .*Check that it is up, and --artefacts-endpoint/,
    );
  });
});
