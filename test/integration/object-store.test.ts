/**
 * Files of results through a real object store, Ceph's gateway: it is what says whether what we
 * sign is right, and refuses what is not. Only with OCLUSTER_LONG=1.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Bucket, checkBucket } from "../../src/artefacts/index.js";
import { readRange, send } from "../../src/artefacts/transfer.js";
import { CEPH_KEYS, Ceph } from "../support/ceph.js";
import { Cluster } from "../support/cluster.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";
import { freePort, Program } from "../support/programs.js";

const MIB = 1024 ** 2;

let ceph: Ceph;
let cluster: Cluster;
let metricsPort: number;

const bucketWith = (secret: object = {}, name = "artefacts") =>
  new Bucket(
    { bucket: name, prefix: "jobs", endpoint: ceph.endpoint, region: "us-east-1" },
    () => ({ ...CEPH_KEYS, ...secret }),
  );

/** A bucket is made by an object's URL without an object. */
async function makeBucket(): Promise<void> {
  const maker = new Bucket(
    { bucket: "artefacts", prefix: "", endpoint: ceph.endpoint, region: "us-east-1" },
    () => CEPH_KEYS,
  );
  await send({
    method: "PUT",
    url: await maker.writeUrl({ key: "", length: 0 }),
    body: { length: 0, read: () => [] },
  });
}

describe.runIf(process.env.OCLUSTER_LONG === "1")("Ceph's object gateway", () => {
  beforeAll(async () => {
    ceph = await Ceph.start();
    ceph.addUser();
    await makeBucket();
    metricsPort = await freePort();
    const { env } = process;
    env.AWS_ACCESS_KEY_ID = CEPH_KEYS.accessKeyId;
    env.AWS_SECRET_ACCESS_KEY = CEPH_KEYS.secretAccessKey;
    cluster = await Cluster.start([
      "--artefacts=s3://artefacts/jobs",
      `--artefacts-endpoint=${ceph.endpoint}`,
      `--listen-prometheus=127.0.0.1:${metricsPort}`,
    ]);
    delete env.AWS_ACCESS_KEY_ID;
    delete env.AWS_SECRET_ACCESS_KEY;
    withTemporaryRoot(busyboxRoot, (rootfs) =>
      writeOciLayout(cluster.path("images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
    );
    await cluster.worker("my-host", [
      `--obuilder-store=overlayfs:${cluster.path("store")}`,
      `--obuilder-image-dir=${cluster.path("images")}`,
      "--obuilder-fetch=local",
      "--obuilder-prune-threshold=0",
    ]);
  }, 600_000);

  afterAll(async () => {
    await cluster?.stop();
    await ceph?.stop();
  });

  const client = (...args: readonly string[]) =>
    new Program("ocluster-client", ["-c", cluster.cap("submission"), ...args], {
      cwd: cluster.dir,
    });

  function submit(command: string, ...args: readonly string[]) {
    const text = `((from busybox) (shell /bin/sh -c) (run (shell ${JSON.stringify(command)})))`;
    const spec = cluster.write("out.spec", text);
    return client("submit-obuilder", "--pool=linux-x86_64", `--local-file=${spec}`, ...args).ended;
  }

  const refusal = (work: Promise<unknown>) =>
    work.then(
      () => 200,
      (error) => error.status,
    );

  it("takes what was signed for it, and refuses another method, key, size, age and secret", async () => {
    const bucket = bucketWith();
    await checkBucket(bucket, "probe");
    const body = { length: 5, read: () => [Buffer.from("seven")] };
    const url = await bucket.writeUrl({ key: "7-1", length: 5 });
    const put = (to: string, what = body) => refusal(send({ method: "PUT", url: to, body: what }));
    expect(await put(url)).toBe(200);
    expect((await readRange(await bucket.readUrl("7-1"), 1, 3)).toString()).toBe("eve");
    expect(await put(await bucket.readUrl("7-1"))).toBe(403);
    expect(await put(url.replace("7-1", "8-1"))).toBe(403);
    expect(await put(url, { length: 6, read: () => [Buffer.from("longer")] })).toBe(403);
    expect(await put(url.replace("X-Amz-Expires=300", "X-Amz-Expires=301"))).toBe(403);
    expect(
      await put(await bucketWith({ secretAccessKey: "wrong" }).writeUrl({ key: "7-1", length: 5 })),
    ).toBe(403);
    const late = await old(() => bucket.writeUrl({ key: "7-1", length: 5 }));
    expect(await put(late)).toBe(403);
    expect(await refusal(readRange(await old(() => bucket.readUrl("7-1")), 0, 5))).toBe(403);
    await bucket.remove("7-1");
    const told = (one: Bucket) => checkBucket(one, "probe").catch((error) => error.message);
    expect(await told(bucketWith({ secretAccessKey: "wrong" }))).toMatch(
      /check AWS_SECRET_ACCESS_KEY/,
    );
    expect(await told(bucketWith({ accessKeyId: "nobody" }))).toMatch(/check AWS_ACCESS_KEY_ID/);
    expect(await told(bucketWith({}, "no-such-bucket"))).toMatch(
      /There is no bucket no-such-bucket/,
    );
  });

  it("has 200 MB from a worker, and gives them to a client, past the scheduler", async () => {
    const before = await relayed();
    const ended = await submit(
      "mkdir /out; dd if=/dev/urandom of=/out/large bs=1M count=200 2>/dev/null; sha256sum /out/large > /out/sum",
      "--output=/out:got",
    );
    expect(ended).toMatchObject({ code: 0 });
    expect(await hashOf(cluster.path("got/large"))).toBe(cluster.read("got/sum").slice(0, 64));
    expect(await bucketWith().openUploads("")).toEqual([]);
    const after = await relayed();
    expect(after.direct - before.direct).toBeGreaterThan(200 * MIB);
    expect(after.relayed).toBe(before.relayed);
  });

  it("is waited for when it goes away in the middle, and the transfer is right", async () => {
    const job = submit(
      "mkdir /out; dd if=/dev/urandom of=/out/large bs=1M count=150 2>/dev/null; sha256sum /out/large > /out/sum; : again",
      "--output=/out:again",
    );
    await expect
      .poll(
        async () => {
          const [open] = await bucketWith().openUploads("");
          return open ? (await bucketWith().parts(open.key, open.upload)).length : 0;
        },
        { interval: 20, timeout: 60_000 },
      )
      .toBeGreaterThan(0);
    await ceph.stopGateway();
    await cluster.scheduler.sees("stderr", /cannot be kept, and it waits/);
    await ceph.startGateway();
    expect(await job).toMatchObject({ code: 0 });
    expect(await hashOf(cluster.path("again/large"))).toBe(cluster.read("again/sum").slice(0, 64));
    expect(await bucketWith().openUploads("")).toEqual([]);
  }, 300_000);

  it("loses uploads of jobs that are cancelled", async () => {
    const job = await submit(
      "mkdir /out; dd if=/dev/urandom of=/out/large bs=1M count=180 2>/dev/null; : cancelled",
      ...["--output=/out", "--detach"],
    );
    const id = job.stdout.trim();
    await expect
      .poll(async () => (await bucketWith().openUploads("")).length, {
        interval: 20,
        timeout: 60_000,
      })
      .toBe(1);
    expect(await client("cancel", id).ended).toMatchObject({ code: 0 });
    await expect
      .poll(async () => await bucketWith().openUploads(""), { timeout: 60_000 })
      .toEqual([]);
    expect(existsSync(cluster.path("got/none"))).toBe(false);
  });
});

/** What a function signs of 400 s ago. */
async function old(sign: () => Promise<string>): Promise<string> {
  const RealDate = globalThis.Date;
  const then = Date.now() - 400_000;
  class Earlier extends RealDate {
    constructor() {
      super(then);
    }
  }
  globalThis.Date = Earlier as DateConstructor;
  try {
    return await sign();
  } finally {
    globalThis.Date = RealDate;
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const data of createReadStream(path)) hash.update(data as Buffer);
  return hash.digest("hex");
}

/** Bytes by which way, as the scheduler counts them. */
async function relayed(): Promise<{ direct: number; relayed: number }> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const of = (way: string) =>
    Number(
      new RegExp(`ocluster_outputs_received_bytes_total\\{way="${way}"\\} (\\S+)`).exec(
        text,
      )?.[1] ?? 0,
    );
  return { direct: of("direct"), relayed: of("relayed") };
}
