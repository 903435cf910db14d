/**
 * Files of results, through all four real programs: asked for with `--output`, taken of a layer or
 * of what a failed step has left, kept by the scheduler, and put where they are wanted.
 */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JobOutputs } from "../../src/client/outputs/library.js";
import { Cluster } from "../support/cluster.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";
import { Program, run } from "../support/programs.js";

let cluster: Cluster;
let worker: Program;

const workerArgs = (store = "overlayfs") => [
  "--capacity=2",
  `--obuilder-store=${store}:${cluster.path(`store-${store}`)}`,
  `--obuilder-image-dir=${cluster.path("images")}`,
  "--obuilder-fetch=local",
  "--obuilder-prune-threshold=0",
  ...(store === "rsync" ? ["--rsync-mode=copy"] : []),
];

beforeAll(async () => {
  cluster = await Cluster.start();
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(cluster.path("images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
  );
  worker = await cluster.worker("my-host", workerArgs());
});

afterAll(() => cluster.stop());

let specs = 0;

/**
 * Submits a spec of one command. `outputs` are arguments; places in them are relative to the
 * cluster's directory.
 */
function submit(command: string, outputs: readonly string[], more: readonly string[] = []) {
  const text = `((from busybox) (shell /bin/sh -c) (run (shell ${JSON.stringify(command)})))`;
  const spec = cluster.write(`${++specs}.spec`, text);
  const args = ["-c", cluster.cap("submission"), "submit-obuilder", "--pool=linux-x86_64"];
  return new Program(
    "ocluster-client",
    [...args, `--local-file=${spec}`, ...outputs.map((output) => `--output=${output}`), ...more],
    { cwd: cluster.dir },
  ).ended;
}

const client = (...args: readonly string[]) =>
  new Program("ocluster-client", ["-q", "-c", cluster.cap("submission"), ...args], {
    cwd: cluster.dir,
  }).ended;

const MAKE = [
  "mkdir -p /out/sub /out/empty; cd /out",
  "echo one > a.txt; echo two > sub/b.txt; chmod 640 a.txt; chmod 4755 sub/b.txt; chmod 750 sub",
  "ln a.txt hard; ln -s a.txt soft; ln -s /etc/passwd away; ln -s ../../../../etc/passwd up",
  "dd if=/dev/zero of=sparse bs=1 count=0 seek=60000000 2>/dev/null; echo end >> sparse",
  "printf x > 'odd\nname'; touch -d '2001-02-03 04:05:06' a.txt; mkfifo pipe",
  "ln -s /out /latest",
].join("; ");

describe("files of a result", () => {
  it("come as a directory, a file, what a pattern stands for, an archive, on standard output", async () => {
    const ended = await submit(MAKE, [
      "/out:got",
      "/latest/a.txt:one.txt",
      "/out/a.txt:into/",
      "/out/*.txt:texts/",
      "/out/**/*.txt:deep/",
      "/out:all.tar.gz",
    ]);
    expect(ended.stderr).toMatch(/"\/out": 8 files \([^)]+\) in got/);
    expect(ended).toMatchObject({ code: 0 });
    const at = (path: string) => cluster.path(path);
    expect(cluster.read("got/a.txt")).toBe("one\n");
    expect(cluster.read("got/sub/b.txt")).toBe("two\n");
    expect(lstatSync(at("got/a.txt")).mode & 0o7777).toBe(0o640);
    expect(lstatSync(at("got/sub/b.txt")).mode & 0o7777).toBe(0o755);
    expect(lstatSync(at("got/sub")).mode & 0o7777).toBe(0o750);
    expect(lstatSync(at("got/a.txt")).mtime.toISOString()).toBe("2001-02-03T04:05:06.000Z");
    expect(lstatSync(at("got/hard")).ino).toBe(lstatSync(at("got/a.txt")).ino);
    expect(readlinkSync(at("got/soft"))).toBe("a.txt");
    expect(readlinkSync(at("got/away"))).toBe("/etc/passwd");
    expect(readlinkSync(at("got/up"))).toBe("../../../../etc/passwd");
    const sparse = statSync(at("got/sparse"));
    expect(sparse.size).toBe(60_000_004);
    expect(sparse.blocks * 512).toBeLessThan(1_000_000);
    expect(readdirSync(at("got")).sort()).toEqual(
      ["a.txt", "away", "empty", "hard", "odd\nname", "soft", "sparse", "sub", "up"].sort(),
    );
    expect(cluster.read("one.txt")).toBe("one\n");
    expect(cluster.read("into/a.txt")).toBe("one\n");
    expect(readdirSync(at("texts"))).toEqual(["a.txt"]);
    expect(cluster.read("deep/sub/b.txt")).toBe("two\n");
    mkdirSync(at("unpacked"));
    execFileSync("tar", ["-xzf", at("all.tar.gz"), "-C", at("unpacked")]);
    expect(execFileSync("diff", ["-r", at("got"), at("unpacked/out")]).toString()).toBe("");
    expect(readlinkSync(at("unpacked/out/up"))).toBe("../../../../etc/passwd");
    expect(readdirSync(cluster.dir).filter((name) => name.includes("ocluster-"))).toEqual([]);

    const printed = await submit(MAKE, ["/out/a.txt:-"]);
    expect(printed).toMatchObject({ code: 0, stdout: "one\n" });
    expect(printed.stderr).toContain("Job succeeded");
  });

  it("stay at the scheduler for who does not wait, and are listed and fetched later", async () => {
    const submitted = await submit(
      "mkdir /o; echo hi > /o/a; echo ho > /o/b",
      ["/o"],
      ["--detach"],
    );
    expect(submitted).toMatchObject({ code: 0 });
    const id = submitted.stdout.trim();
    expect(await client("wait", id)).toMatchObject({ code: 0 });
    const listed = await client("outputs", id, "--json");
    const [dir, a] = listed.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(dir).toMatchObject({ id: Number(id), attempt: 1, path: "/o", type: "dir" });
    expect(a).toMatchObject({
      ...{ path: "/o/a", type: "file", size: 3, mode: "0644" },
      sha256: "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4",
    });
    expect((await client("outputs", id)).stdout).toMatch(/^-rw-r--r-- +3B? .* \/o\/a$/m);
    expect(await client("fetch", id, "--to=later")).toMatchObject({ code: 0 });
    expect(cluster.read("later/o/b")).toBe("ho\n");
    const one = await client("fetch", id, "/o/a", "--to=later", "--json");
    expect(JSON.parse(one.stdout)).toEqual({
      ...{ id: Number(id), remote: "/o/a", local: "later", files: 1, size: 3 },
    });
    expect(cluster.read("later/a")).toBe("hi\n");
    // What is there is in the way, and stays as it is.
    writeFileSync(cluster.path("later/o/c"), "mine");
    const again = await client("fetch", id, "--to=later");
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("is in the way") });
    expect(readdirSync(cluster.path("later/o")).sort()).toEqual(["a", "b", "c"]);
    expect((await client("fetch", id, "/o/x", "--to=later")).stderr).toMatch(
      /There is no "\/o\/x"/,
    );
    expect((await client("outputs", "999")).stderr).toMatch(/You have no job 999/);
  });

  it("are had by programs, too", async () => {
    const command =
      "mkdir /o; echo hi > /o/a; dd if=/dev/zero of=/o/b bs=1 count=0 seek=300000; echo >> /o/b";
    const id = (await submit(command, ["/o"], ["--detach"])).stdout.trim();
    expect(await client("wait", id)).toMatchObject({ code: 0 });
    const args = ["examples/outputs.ts", cluster.cap("submission"), id, cluster.path("program/")];
    const printed = execFileSync(process.execPath, ["scripts/run-ts.mjs", ...args], {
      encoding: "utf8",
    });
    expect(printed.split("\n").slice(0, 5)).toEqual([
      ...["directory /o", "file /o/a (3 bytes)", "file /o/b (300001 bytes)", "hi"],
      `2 files are in ${cluster.path("program/")}`,
    ]);
    expect(cluster.read("program/a")).toBe("hi\n");
    await using outputs = await JobOutputs.open({
      connect: cluster.cap("submission"),
      job: Number(id),
    });
    const parts: Uint8Array[] = [];
    for await (const data of outputs.read("/o/b")) parts.push(data);
    expect(Buffer.concat(parts).equals(readFileSync(cluster.path("program/b")))).toBe(true);
    await expect(outputs.fetch("/o/none", cluster.path("x"))).rejects.toThrow(/There is no/);
    await expect(outputs.fetch("/o/a", "-")).rejects.toThrow(/no place for files/);
    await expect(outputs.read("/o").next()).rejects.toThrow(/There is no file/);
  });

  it("that are not there fail the job, unless they may be missing", async () => {
    const missing = await submit("true", ["/nothing:nothing"]);
    expect(missing.code).toBe(1);
    expect(missing.stdout).toMatch(/The output "\/nothing" is not there/);
    const optional = await submit("true", ["/nothing/*:nothing/"], ["--output-optional"]);
    expect(optional.code).toBe(0);
  });

  it("of a failed step come as it has left them", async () => {
    for (const store of ["overlayfs", "rsync"]) {
      if (store === "rsync") {
        await worker.stop("SIGTERM");
        worker = await cluster.worker("my-host", workerArgs(store));
      }
      const failed = await submit(
        `echo ${store} > /report; rm /bin/ls; exit 3`,
        [`/report:report-${store}`, `/bin:bin-${store}`],
        ["--output-on=always"],
      );
      expect(failed).toMatchObject({ code: 1 });
      expect(failed.stdout).toMatch(/failed with exit status 3/);
      expect(cluster.read(`report-${store}`)).toBe(`${store}\n`);
      expect(existsSync(cluster.path(`bin-${store}/ls`))).toBe(false);
      expect(existsSync(cluster.path(`bin-${store}/sh`))).toBe(true);
    }
    const mounts = readFileSync("/proc/self/mountinfo", "utf8");
    expect(mounts.includes(`${cluster.path("store-overlayfs")}/merged`)).toBe(false);
    // Only of failures: one that succeeds has none.
    const fine = await submit("echo fine > /report", ["/report:none"], ["--output-on=failure"]);
    expect(fine).toMatchObject({ code: 0 });
    expect(existsSync(cluster.path("none"))).toBe(false);
  });

  it("are refused before anything is queued if there is no place for them", async () => {
    cluster.write("taken", "");
    const taken = await submit("true", ["/out:taken/sub"]);
    expect(taken).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/"[^"]*taken" is in the way/),
    });
    const many = await submit("true", ["/out/*:one"]);
    expect(many).toMatchObject({
      code: 124,
      stderr: expect.stringContaining("may be several files"),
    });
    const relative = await submit("true", ["out:one"]);
    expect(relative).toMatchObject({
      code: 124,
      stderr: expect.stringContaining("no absolute path"),
    });
    expect((await client("jobs", "--state=queued,running,waiting", "--json")).stdout).toBe("");
  });

  it("that are larger than they may be are not even begun with", async () => {
    const limited = await Cluster.start(["--max-output-size=1M"]);
    try {
      const host = await limited.worker("my-host", [
        ...workerArgs().filter((arg) => !arg.startsWith("--obuilder-store")),
        `--obuilder-store=overlayfs:${limited.path("store")}`,
      ]);
      const spec = limited.write(
        "big.spec",
        '((from busybox) (shell /bin/sh -c) (run (shell "dd if=/dev/urandom of=/big bs=1M count=2")))',
      );
      const ended = await run("ocluster-client", [
        ...["-c", limited.cap("submission"), "submit-obuilder", "--pool=linux-x86_64"],
        ...[`--local-file=${spec}`, `--output=/big:${limited.path("big")}`],
      ]);
      expect(ended.code).toBe(1);
      expect(ended.stdout).toMatch(/have 2M or more, and 1M are allowed \(--max-output-size/);
      expect(readdirSync(limited.path("worker-my-host/attempts"))).toEqual(["journal"]);
      await host.stop("SIGTERM");
    } finally {
      await limited.stop();
    }
  });
});
