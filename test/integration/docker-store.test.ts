/*
 * The docker store, on a real engine: what it keeps there, what it leaves there, and what it does
 * when others remove it.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  BuildCancelled,
  type Builder,
  type BuilderOptions,
  readSpec,
} from "../../src/obuilder/index.js";
import { inspectStore, parseStoreSpec } from "../../src/obuilder/stores/open-store.js";
import { TextLog, Workshop } from "../support/builder.js";
import { DockerEngine } from "../support/docker-engine.js";
import { busyboxRoot, withTemporaryRoot } from "../support/oci-layout.js";

let engine: DockerEngine;
let workshop: Workshop;
let builder: Builder;
let dockerHost: string | undefined;

beforeAll(async () => {
  dockerHost = process.env.DOCKER_HOST;
  engine = await DockerEngine.start();
  use(engine);
});

afterAll(async () => {
  if (dockerHost === undefined) delete process.env.DOCKER_HOST;
  else process.env.DOCKER_HOST = dockerHost;
  await engine.stop();
});

beforeEach(async () => {
  workshop = new Workshop();
  builder = await open();
});

afterEach(async () => {
  await builder.close();
  workshop.remove();
});

/** The engine that builders opened from now on talk to. */
function use({ socket }: DockerEngine): void {
  process.env.DOCKER_HOST = `unix://${socket}`;
}

function open(options: Partial<BuilderOptions> = {}): Promise<Builder> {
  return workshop.open({ store: `docker:${workshop.path("store")}`, ...options });
}

async function reopen(): Promise<void> {
  await builder.close();
  builder = await open();
}

/** What all names of the store's things in the engine begin with. */
function prefix(): string {
  const hash = createHash("sha256").update(workshop.path("store")).digest("hex");
  return `obuilder-${hash.slice(0, 7)}`;
}

async function images(): Promise<string[]> {
  const all = await engine.docker.listImages({ filters: { reference: [`${prefix()}-*`] } });
  return all.flatMap(({ RepoTags }) => RepoTags ?? []);
}

async function volumes(): Promise<string[]> {
  const { Volumes } = await engine.docker.listVolumes({ filters: { name: [prefix()] } });
  return (Volumes ?? []).map(({ Name }) => Name);
}

/** Builds on `busybox`; resolves with the id and what was printed. */
async function build(ops: string): Promise<{ id: string; log: TextLog }> {
  const log = new TextLog();
  return { id: await workshop.build(builder, ops, { log }), log };
}

describe("in the engine", () => {
  it("layers have the names that the reference gives them, and nothing else stays", async () => {
    const { id } = await build(
      '(run (cache (c (target /c))) (shell "echo 1 > /c/n; echo 2 > /f"))',
    );
    const base = createHash("sha256").update("busybox").digest("hex");
    expect((await images()).sort()).toEqual(
      [base, id].map((layer) => `${prefix()}-image-${layer}:latest`).sort(),
    );
    expect(await volumes()).toEqual([`${prefix()}-cache-c-c`]);
    expect(await engine.containers()).toEqual([]);
  });

  it("a failed step leaves nothing", async () => {
    await expect(build('(run (cache (c (target /c))) (shell "exit 3"))')).rejects.toThrow(
      '"/bin/sh" "-c" "exit 3" failed with exit status 3',
    );
    await expect(build('(shell /nowhere) (run (shell "true"))')).rejects.toThrow(/nowhere/);
    expect(await images()).toHaveLength(1);
    expect(await engine.containers()).toEqual([]);
  });

  it("a cache where nothing may be mounted is refused, also through links, and leaves nothing", async () => {
    const cache = (target: string, before = "") =>
      build(`${before} (run (cache (c (target ${target}))) (shell true))`);
    await expect(cache("/dev")).rejects.toThrow("No cache can be mounted at or below /dev");
    const links = '(run (shell "ln -s /dev /l; ln -s ../../sys/x /m"))';
    await expect(cache("/l/shm", links)).rejects.toThrow('which leads to "/dev/shm"');
    await expect(cache("/m", links)).rejects.toThrow('which leads to "/sys/x"');
    await build('(run (cache (a (target /a))) (shell "ln -s /dev /a/l"))');
    const inner = build("(run (cache (a (target /a)) (c (target /a/l))) (shell true))");
    await expect(inner).rejects.toThrow('"/a/l", which leads to "/dev"');
    await expect(build('(run (shell "echo a\\000b"))')).rejects.toThrow("command has a NUL");
    expect(await engine.containers()).toEqual([]);
  });

  it("a cancelled step leaves nothing, and its cache is kept", async () => {
    const stop = new AbortController();
    const log = new TextLog();
    const ops =
      '(run (cache (c (target /c))) (shell "echo kept > /c/n; echo started; sleep 1000"))';
    const running = workshop.build(builder, ops, { log, signal: stop.signal });
    const outcome = expect(running).rejects.toThrow(BuildCancelled);
    await log.sees(/started/);
    stop.abort();
    await outcome;
    await reopen(); // by then the step has ended
    const after = await build('(run (cache (c (target /c))) (shell "cat /c/n"))');
    expect(after.log.text).toBe("kept\n");
    expect(await engine.containers()).toEqual([]);
    expect(await volumes()).toEqual([`${prefix()}-cache-c-c`]);
  });

  it("what a killed process left in the making goes when the store is opened", async () => {
    const { id } = await build('(run (shell "true"))');
    const layer = `${prefix()}-image-${id}`;
    await engine.docker.getImage(layer).tag({ repo: `${prefix()}-image-tmp-x`, tag: "latest" });
    const container = await engine.docker.createContainer({
      Image: layer,
      name: `${prefix()}-container-${id}`,
      Cmd: ["sleep", "1000"],
      HostConfig: { NetworkMode: "none" },
    });
    await container.start();
    await engine.docker.createVolume({ Name: `${prefix()}-cache-tmp-0-c-c` });
    await reopen();
    expect(await engine.containers()).toEqual([]);
    expect(await images()).toHaveLength(2);
    expect(await volumes()).toEqual([]);
  });
});

describe("a step", () => {
  it("has its own environment, whatever the image's is", async () => {
    workshop.image("loud", "latest", busyboxRoot, ["PATH=/bin", 'Q=a "b" $PATH \\c', "N=1\n2"]);
    const spec = readSpec('((from loud) (env N 3) (shell /bin/env -i) (run (shell "/bin/env")))');
    const log = new TextLog();
    await builder.build({ spec, sourceDir: workshop.path("source"), log });
    expect(log.text).toBe("");
    const shown = readSpec(
      '((from loud) (env N 3) (shell /bin/sh -c) (run (shell "env; hostname")))',
    );
    await builder.build({ spec: shown, sourceDir: workshop.path("source"), log });
    const lines = log.text.split("\n");
    expect(lines).toContain('Q=a "b" $PATH \\c');
    expect(lines).toContain("N=3");
    expect(lines).toContain("builder");
    expect(lines.some((line) => line.startsWith("HOSTNAME="))).toBe(false);
  });

  it("sees secrets, and leaves no more than an empty file", async () => {
    const spec = readSpec(`((from busybox) (shell /bin/sh -c)
      (run (secrets (s (target /run/s))) (shell "cat /run/s")) (run (shell "wc -c < /run/s")))`);
    const log = new TextLog();
    const secrets = [["s", Buffer.from("hush\n")]] as const;
    await builder.build({ spec, sourceDir: workshop.path("source"), log, secrets });
    expect(log.text).toBe("hush\n0\n");
  });

  it("has no network unless it asks for it", async () => {
    const { log } = await build('(run (shell "ls /sys/class/net"))');
    expect(log.text).toBe("lo\n");
    await expect(build('(run (network a b) (shell "true"))')).rejects.toThrow(
      'Unsupported network configuration [\\"a\\"; \\"b\\"]',
    );
  });

  it("keeps to its limits", async () => {
    await builder.close();
    builder = await open({ limits: { pids: 20 }, docker: { memory: 64 * 1024 * 1024, cpus: 0.5 } });
    const cgroups = "cd /sys/fs/cgroup; cat */memory.limit_in_bytes memory.max 2>/dev/null";
    const { log } = await build(
      `(run (shell "${cgroups}; cat */pids.max pids.max 2>/dev/null; cat */cpu.cfs_quota_us 2>/dev/null; cat cpu.max 2>/dev/null; true"))`,
    );
    const said = log.text.split(/\s/);
    expect(said).toContain(String(64 * 1024 * 1024));
    expect(said).toContain("20");
    expect(said).toContain("50000");
  });

  it("does not wait for the disk if told so", async () => {
    // The kernel refuses to wait for what is on no disk.
    const ops = '(run (shell "dd if=/dev/null of=/dev/null conv=fsync 2> /dev/null"))';
    await expect(build(ops)).rejects.toThrow("failed with exit status 1");
    await builder.close();
    builder = await open({ fastSync: true });
    await build(ops);
  });

  it("prints more than fits anywhere, in order", async () => {
    const { log } = await build('(run (shell "seq 1 200000"))');
    expect(log.text.split("\n")).toHaveLength(200_001);
    expect(log.text.endsWith("\n199999\n200000\n")).toBe(true);
  });
});

it("layers are found by their images when the store's own files are lost", async () => {
  const ops = '(run (shell "echo 1 > /1")) (run (shell "cat /1"))';
  const { id } = await build(ops);
  await builder.close();
  rmSync(workshop.path("store"), { recursive: true });
  builder = await open();
  const again = await build(ops);
  expect(again.id).toBe(id);
  expect(again.log.lines.filter((line) => line.includes("saved as"))).toEqual([]);
});

describe("when the engine is pruned", () => {
  it("the store forgets what is gone, and makes it again", async () => {
    const ops = '(run (shell "echo 1 > /1")) (run (shell "echo 2 > /2"))';
    const { id } = await build(ops);
    const other = await build('(run (shell "echo other"))');
    expect(builder.count()).toBe(4);
    execFileSync("docker", ["image", "prune", "--all", "--force"], { stdio: "ignore" });
    expect(await images()).toEqual([]);
    const again = await build(ops);
    expect(again.id).toBe(id);
    expect(again.log.lines.filter((line) => line.includes("saved as"))).toHaveLength(3);
    expect(builder.count()).toBe(3); // without the other one
    expect((await build('(run (shell "echo other"))')).id).toBe(other.id);
  });

  it("so it does when it is opened", async () => {
    await build('(run (shell "echo 1 > /1"))');
    await builder.close();
    execFileSync("docker", ["image", "prune", "--all", "--force"], { stdio: "ignore" });
    builder = await open();
    expect(builder.count()).toBe(0);
  });

  it("a layer that is gone is made again for those that need it as their base", async () => {
    const { id } = await build('(run (shell "true"))');
    await engine.docker.getImage(`${prefix()}-image-${id}`).remove({ force: true });
    await build('(run (shell "true")) (run (shell "echo next"))');
    expect(await images()).toHaveLength(3);
  });

  it("a step whose base has just gone says so", async () => {
    const { store } = await inspectStore(parseStoreSpec(`docker:${workshop.path("store")}`));
    const [id, base] = ["1", "2"].map((digit) => digit.repeat(64));
    await expect(store.build(id!, base, async () => {})).rejects.toThrow(
      `Layer ${base} is gone from the Docker engine; build again`,
    );
    await store.close();
  });
});

it("layers are removed with their images, the unused ones first", async () => {
  await build('(run (shell "echo 1")) (run (shell "echo 2"))');
  const pruned = await builder.prune({ before: new Date("9999-01-01"), limit: 2 });
  expect(pruned).toBe(2);
  expect(await images()).toHaveLength(1);
  const { store } = await inspectStore(parseStoreSpec(`docker:${workshop.path("store")}`));
  const layers = await store.list();
  expect(layers).toHaveLength(1);
  expect((await store.sizes(layers.map(({ id }) => id)))[0]).toBeGreaterThan(1_000_000);
  expect(await store.freePercent()).toBeGreaterThan(0);
  await store.close();
});

it("a base image that the engine has is taken as it is", async () => {
  const archive = withTemporaryRoot(busyboxRoot, (rootfs) =>
    execFileSync("tar", ["-C", rootfs, "-c", "."], { maxBuffer: 64 * 1024 * 1024 }),
  );
  execFileSync("docker", ["import", "--change", "ENV PATH=/bin", "-", "mine:1"], {
    input: archive,
    stdio: ["pipe", "ignore", "inherit"],
  });
  await builder.close();
  builder = await open({ fetch: ["local", "docker"] });
  const spec = readSpec('((from mine:1) (shell /bin/sh -c) (run (shell "echo $PATH")))');
  const log = new TextLog();
  await builder.build({ spec, sourceDir: workshop.path("source"), log });
  expect(log.text).toBe("/bin\n");
  // The user's own name for it is not the store's to take away.
  await builder.prune({ before: new Date("9999-01-01"), limit: 10 });
  expect(await engine.docker.getImage("mine:1").inspect()).toBeTruthy();
});

it("caches may have any name", async () => {
  const names = ["simple", "a/b", "ünï", "x".repeat(300), "."];
  for (const name of names) {
    const ops = (command: string) => `(run (cache ("${name}" (target /c))) (shell "${command}"))`;
    await build(ops("echo 1 > /c/n"));
    expect((await build(ops("cat /c/n"))).log.text).toBe("1\n");
  }
  for (const name of names) await builder.deleteCache(name);
  expect(await volumes()).toEqual([]);
});

it("a layer is read from whatever the engine keeps it on", async () => {
  const context = workshop.path("source");
  mkdirSync(join(context, "d"));
  writeFileSync(join(context, "d/f"), "f\n");
  const spec = readSpec(`((build base ((from busybox)))
    (build parts ((from busybox) (shell /bin/sh -c) (copy (src d) (dst /))
      (run (shell "echo 2 > /d/2; rm /d/f")) (run (shell "ln -s 2 /d/l"))))
    (from busybox) (copy (from (build parts)) (src /d /etc) (dst /got/))
    (copy (from (build base)) (src bin) (dst /got/)))`);
  const id = await builder.build({ spec, sourceDir: context, log: new TextLog() });
  const other = await DockerEngine.start("vfs");
  try {
    use(other);
    const second = await open({ store: `docker:${workshop.path("vfs")}` });
    try {
      expect(await second.build({ spec, sourceDir: context, log: new TextLog() })).toBe(id);
    } finally {
      await second.close();
    }
  } finally {
    use(engine);
    await other.stop();
  }
});

it("says so if there is no engine", async () => {
  process.env.DOCKER_HOST = `unix://${workshop.path("nowhere")}`;
  try {
    await expect(open({ store: `docker:${workshop.path("other")}` })).rejects.toThrow(
      /Cannot talk to the Docker engine/,
    );
  } finally {
    use(engine);
  }
});
