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
async function busy(what: () => Promise<unknown>): Promise<string> {
  const programs = [cluster.scheduler, worker];
  const before = programs.map(processorTime);
  await what();
  const [scheduler, ours] = programs.map((one, at) => processorTime(one) - before[at]!);
  return `scheduler ${scheduler!.toFixed(2)} s, worker ${ours!.toFixed(2)} s`;
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

/**
 * Measures the way of /out of a result that `command` makes. `unit` is what is counted, of which
 * there are `count`.
 */
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
  for (const [what, time] of [
    ["worker to scheduler", up - base],
    ["scheduler to client", down],
    ["rsync, no network", peer],
  ] as const) {
    const ratio = (time / peer).toFixed(2);
    console.log(
      `${what.padEnd(22)} ${(count / time).toFixed(0).padStart(8)} ${unit}/s   ${ratio} x rsync's time`,
    );
  }
  console.log(`processor, up: ${busyUp}; down: ${busyDown}`);
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
  const say = async (what: string) =>
    console.log(`${what.padEnd(22)} ${(await seconds(submit)).toFixed(2).padStart(8)} s`);
  await say("first submit");
  // What has been changed just now is not remembered: see docs/contexts.md.
  await submit();
  await say("unchanged");
  writeFileSync(cluster.path("tree/0/0.txt"), "other");
  await say("one file changed");
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
  console.log(`One file of ${megabytes} MB:`);
  await measure(`dd if=/dev/urandom of=/out/large bs=1M count=${megabytes}`, megabytes, "MB");
  console.log(`${files} files of 4 KB:`);
  const many = `i=0; while [ $i -lt ${files} ]; do head -c 4096 /dev/urandom > /out/$i; i=$((i+1)); done`;
  await measure(many, files, "files");
  console.log(`A directory of ${context} files to build from:`);
  await measureContext(context);
} finally {
  await cluster.stop();
}
