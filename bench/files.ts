/**
 * What files of results cost, through the real programs over TLS on loopback: from a layer that is
 * there already into the scheduler's store (the worker takes them, the scheduler has them on disk),
 * and from there to a client. Beside them, in the same run, rsync from directory to directory, with
 * neither network nor encryption nor checks. Then how long it takes to submit a job with a local
 * directory to build from: for the first time, unchanged, and with one file changed.
 *
 *     npm run bench:files [-- MEGABYTES FILES CONTEXT]
 *
 * By default 1024 MB in one file, 20,000 files of 4 KB, and 50,000 files in the directory.
 *
 * Needs root, runc and rsync.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Cluster } from "../test/support/cluster.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../test/support/oci-layout.js";
import { type Program, run } from "../test/support/programs.js";
import { report } from "./report.js";

const [megabytes = 1024, files = 20_000, context = 50_000] = process.argv.slice(2).map(Number);

const cluster = await Cluster.start();
let worker: Program;

/** Seconds of the processor that a process has had so far, in hundredths. */
function processorTime({ pid }: Program): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The same of scheduler and worker while something is done, which other load changes little. */
async function busy(what: () => Promise<unknown>): Promise<readonly [number, number]> {
  const programs = [cluster.scheduler, worker];
  const before = programs.map(processorTime);
  await what();
  const [scheduler, ours] = programs.map((one, at) => processorTime(one) - before[at]!);
  return [scheduler!, ours!];
}

async function seconds(what: () => unknown): Promise<number> {
  const began = performance.now();
  await what();
  return (performance.now() - began) / 1000;
}

async function client(...args: readonly string[]): Promise<string> {
  const ended = await run("ocluster-client", ["-q", "-c", cluster.cap("submission"), ...args], {
    env: { XDG_CACHE_HOME: cluster.path("cache") },
  });
  if (ended.code !== 0) throw new Error(`${args.join(" ")}:\n${ended.stdout}${ended.stderr}`);
  return ended.stdout.trim();
}

/** Measures the way of /out of a result that `command` makes: `count` of what `unit` says. */
async function measure(command: string, count: number, unit: string): Promise<void> {
  const text = JSON.stringify(`mkdir /out; ${command}`);
  const spec = cluster.write(
    "out.spec",
    `((from busybox) (shell /bin/sh -c) (run (shell ${text})))`,
  );
  const submit = ["submit-obuilder", "--pool=linux-x86_64", `--local-file=${spec}`];
  // From now on the result is there, and only what is done with it takes time.
  await client(...submit, "--log-file=/dev/null");
  const base = await seconds(async () => {
    await client("wait", await client(...submit, "--detach"));
  });
  let job = "";
  let [up, down] = [0, 0];
  const busyUp = await busy(async () => {
    up = await seconds(async () => {
      job = await client(...submit, "--output=/out", "--detach");
      await client("wait", job);
    });
  });
  const busyDown = await busy(async () => {
    down = await seconds(() => client("fetch", job, `--to=${cluster.path("got")}`));
  });
  const peer = await seconds(() =>
    execFileSync("rsync", ["-a", `${cluster.path("got/out")}/`, cluster.path("copy")]),
  );
  report(`results: ${count} ${unit}`, {
    [`worker to scheduler, ${unit}/s`]: count / (up - base),
    [`scheduler to client, ${unit}/s`]: count / down,
    [`rsync without a network, ${unit}/s`]: count / peer,
    "up, scheduler's processor s": busyUp[0],
    "up, worker's processor s": busyUp[1],
    "down, scheduler's processor s": busyDown[0],
  });
  for (const name of ["got", "copy"]) rmSync(cluster.path(name), { recursive: true });
}

/** Says how long it takes to submit a job with a directory of so many files. */
async function measureContext(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const directory = cluster.path(`tree/${i % 500}`);
    if (i < 500) mkdirSync(directory, { recursive: true });
    writeFileSync(`${directory}/${i}.txt`, `content ${i}\n`.repeat(300));
  }
  const spec = cluster.write("context.spec", "((from busybox) (copy (src .) (dst /src)))");
  const args = ["submit-obuilder", "--pool=linux-x86_64", `--local-file=${spec}`];
  const submit = () => client(...args, `--context=${cluster.path("tree")}`, "--detach");
  const first = await seconds(submit);
  // What has been changed just now is not remembered: see docs/contexts.md.
  await submit();
  const unchanged = await seconds(submit);
  writeFileSync(cluster.path("tree/0/0.txt"), "other");
  const changed = await seconds(submit);
  report(`a directory of ${count} files to build from, submits`, {
    "first, s": first,
    "unchanged, s": unchanged,
    "one file changed, s": changed,
  });
}

try {
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(cluster.path("images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
  );
  worker = await cluster.worker("my-host", [
    `--obuilder-store=overlayfs:${cluster.path("store")}`,
    `--obuilder-image-dir=${cluster.path("images")}`,
    "--obuilder-fetch=local",
    "--obuilder-prune-threshold=0",
  ]);
  await measure(`dd if=/dev/urandom of=/out/large bs=1M count=${megabytes}`, megabytes, "MB");
  const many = `i=0; while [ $i -lt ${files} ]; do head -c 4096 /dev/urandom > /out/$i; i=$((i+1)); done`;
  await measure(many, files, "files");
  await measureContext(context);
} finally {
  await cluster.stop();
}
