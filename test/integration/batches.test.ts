/**
 * The scientist's story with the real programs: many tiles from one template, of which some fail at
 * first, while a worker is killed, the scheduler is restarted, and the laptop is closed.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";
import { Program, run } from "../support/programs.js";

/** Tiles: as many as in the story for long runs. */
const ROWS = process.env.OCLUSTER_LONG ? 300 : 40;

let cluster: Cluster;
/** The directory of base images. */
let images: string;

beforeAll(async () => {
  images = mkdtempSync(join(tmpdir(), "ocluster-images-"));
  withTemporaryRoot(busyboxRoot, (rootfs) => {
    writeOciLayout(join(images, "busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" });
  });
  cluster = await Cluster.start();
}, 120_000);

afterAll(async () => {
  await cluster.stop();
  rmSync(images, { recursive: true });
});

function worker(name: string) {
  return cluster.worker(name, [
    "--capacity=2",
    `--obuilder-store=overlayfs:${cluster.path(`store-${name}`)}`,
    `--obuilder-image-dir=${images}`,
    ...["--obuilder-fetch=local", "--obuilder-prune-threshold=0"],
  ]);
}

const words = (...args: readonly string[]) => ["-c", cluster.cap("submission"), ...args];

const client = (...args: readonly string[]) =>
  run("ocluster-client", words(...args), { cwd: cluster.dir });

/**
 * A template whose first steps are the same in all rows; tiles that are "bad" fail unless the batch
 * says `good`.
 */
const SPEC = `((from busybox)
 (shell /bin/sh -c)
 (run (shell "mkdir -p /tools && echo shared-one"))
 (run (shell "echo shared-two > /tools/model"))
 (run (shell "echo shared-three; cat /tools/model"))
 (run (shell "echo making {lat} {lon}; case {kind} in bad) echo no data; exit 1;; esac; mkdir /out; { echo tile '{lat}'/\\"{lon}\\"; head -c 200000 /dev/zero; } > /out/tile.tif; head -n 1 /out/tile.tif"))
)`;

function table(kind: string): string {
  const rows = Array.from(
    { length: ROWS },
    (_, n) => `${n},"x ${n}'s",${n % 10 === 7 ? kind : "good"}`,
  );
  return `lat,lon,kind\n${rows.join("\n")}\n`;
}

const BATCH = [
  ...["batch", "--pool=linux-x86_64", "--spec=tile.spec", "--each=tiles.csv", "--key={lat}_{lon}"],
  ...[
    "--name=tessera",
    "--logs=logs",
    "--results=results.jsonl",
    "--output=/out/tile.tif:tiles/{key}.tif",
  ],
];

interface Result {
  readonly key: string;
  readonly state: string;
  readonly values: { readonly lat: string; readonly lon: string; readonly kind: string };
}

function results(): Map<string, Result> {
  const lines = cluster.read("results.jsonl").trim().split("\n");
  return new Map(lines.map((line) => JSON.parse(line)).map((result) => [result.key, result]));
}

describe("a batch", () => {
  it("comes to its end, whatever is killed meanwhile", async () => {
    cluster.write("tile.spec", SPEC);
    cluster.write("tiles.csv", table("bad"));
    const [first, second] = [await worker("w1"), await worker("w2")];
    const submitter = new Program("ocluster-client", words(...BATCH), { cwd: cluster.dir });
    await submitter.sees("stderr", /Batch \d+ \(tessera\): \d+ rows\./);
    const log = () => readdirSync(cluster.path("logs"), { encoding: "utf8" });
    await expect
      .poll(() => (readdirSync(cluster.dir).includes("logs") ? log().length : 0), {
        timeout: 60_000,
      })
      .toBeGreaterThan(3);
    // The laptop is closed, a worker dies, and the scheduler is restarted.
    await submitter.stop("SIGINT");
    expect(submitter.stderr).toMatch(
      /Batch \d+ \(tessera\) goes on\. To come back: ocluster-client -c \S+ batch watch \d+/,
    );
    await first.stop("SIGKILL");
    await cluster.scheduler.stop("SIGKILL");
    await cluster.restartScheduler();
    await worker("w1");
    const watched = await client(
      "batch",
      "watch",
      "tessera",
      ...["--logs=logs", "--results=results.jsonl", "--output=/out/tile.tif:tiles/{key}.tif"],
    );
    expect(watched.code).toBe(1);
    expect(watched.stderr).toMatch(/^Failed: 7_x 7's \(job \d+\): /m);
    const bad = ROWS / 10;
    expect(watched.stderr).toContain(
      `(tessera) has failed: ${ROWS - bad} of ${ROWS} rows succeeded, ${bad} failed, 0 cancelled.`,
    );
    expect(second.hasEnded).toBe(false);

    // Each row has its line and its log.
    expect(results().size).toBe(ROWS);
    for (const { key, state, values } of results().values()) {
      expect(state).toBe(values.kind === "bad" ? "failed" : "succeeded");
      const name = key.replace(" ", "%20").replace("'", "%27");
      const text = cluster.read(`logs/${name}.log`);
      expect(text).toContain(`making ${values.lat} ${values.lon}\n`);
      if (state !== "succeeded") {
        expect(text).toContain("no data\n");
        continue;
      }
      const tile = `tile ${values.lat}/${values.lon}\n`;
      expect(text).toContain(tile);
      expect(cluster.read(`tiles/${name}.tif`)).toBe(tile + "\0".repeat(200_000));
    }
    expect(log()).toHaveLength(ROWS);
    expect(readdirSync(cluster.path("tiles"))).toHaveLength(ROWS - bad);
    const { stdout } = await client("batch", "show", "tessera", "--failed", "--json");
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).state),
    ).toEqual(Array(bad).fill("failed"));
  }, 400_000);

  it("is run again as far as it has changed", async () => {
    cluster.write("tiles.csv", table("well"));
    const again = await client(...BATCH);
    expect(again.stderr).toMatch(
      new RegExp(
        `\\(tessera\\): ${ROWS} rows, of which ${ROWS - ROWS / 10} have succeeded before and are not run again`,
      ),
    );
    expect(again).toMatchObject({ code: 0 });
    expect([...results().values()].every(({ state }) => state === "succeeded")).toBe(true);
    expect(readdirSync(cluster.path("tiles"))).toHaveLength(ROWS);
    const once = await client(...BATCH, "--json");
    expect(once.stderr).toMatch(
      /\(tessera\) is there already, with the same \d+ rows: it goes on\. /,
    );
    expect(JSON.parse(once.stdout)).toMatchObject({
      name: "tessera",
      state: "succeeded",
      succeeded: ROWS,
      complete: true,
    });
  }, 400_000);

  it("is fetched on another machine", async () => {
    mkdirSync(cluster.path("elsewhere"));
    const fetched = await client(
      "batch",
      "fetch",
      "tessera",
      "--logs=elsewhere/{key}.txt",
      "--results=elsewhere/all.csv",
    );
    expect(
      readdirSync(cluster.path("elsewhere")).filter((name) => name.endsWith(".txt")),
    ).toHaveLength(ROWS);
    expect(fetched.code).toBe(0);
    const lines = cluster.read("elsewhere/all.csv").trim().split("\n");
    expect(lines[0]).toBe(
      "job,attempts,key,row,state,worker,seconds,output,started,ended,reason,lat,lon,kind",
    );
    expect(lines).toHaveLength(ROWS + 1);
    const usual = await client("batch", "fetch", "tessera");
    expect(usual.code).toBe(0);
    const [, place] = /^Logs and results are in (batch-\d+)\. /m.exec(usual.stderr)!;
    expect(readdirSync(cluster.path(`${place}/logs`))).toHaveLength(ROWS);
    expect(cluster.read(`${place}/results.jsonl`).trim().split("\n")).toHaveLength(ROWS);
  }, 100_000);

  it("is made by a program, too", async () => {
    const root = join(import.meta.dirname, "../..");
    const args = ["examples/batch.ts", cluster.cap("submission"), "linux-x86_64"];
    const script = new Program(`/${root}/scripts/run-ts.mjs`, args, { cwd: root });
    expect(await script.ended).toMatchObject({
      code: 0,
      stdout: "3 rows have ended: 1, 2, 3\n",
    });
  }, 100_000);

  it("is refused before anything is submitted if it is wrong", async () => {
    writeFileSync(cluster.path("bad.csv"), "lat,lon\n1,2\n3\n");
    const bad = await client(
      "batch",
      "--pool=linux-x86_64",
      "--spec=tile.spec",
      "--each=bad.csv",
      "--dry-run",
    );
    expect(bad).toMatchObject({ code: 1, stdout: "" });
    expect(bad.stderr).toMatch(/^bad\.csv:3:1: Invalid Record Length/);
    const { stdout } = await client("batch", "list", "--json");
    expect(stdout.trim().split("\n")).toHaveLength(2);
  });
});
