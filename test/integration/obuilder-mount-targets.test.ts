/*
 * Targets of caches and secrets: links on their way are followed inside of the root, and nothing of
 * a spec gets in the place of what a runtime has in /dev, /proc and /sys.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Builder, readSpec } from "../../src/obuilder/index.js";
import { TextLog, Workshop } from "../support/builder.js";
import { busyboxRoot } from "../support/oci-layout.js";

let workshop: Workshop;

beforeAll(() => {
  workshop = new Workshop();
  for (const [name, link, target] of [
    ["proc-link", "proc", "tmp/p"],
    ["sys-link", "sys", "/tmp"],
    ["dev-link", "dev", "../../../../tmp"],
    ["etc-link", "etc", "/proc/self"],
    ["hosts-link", "etc/hosts", "/dev/null"],
  ] as const) {
    const fill = (rootfs: string) => {
      busyboxRoot(rootfs);
      mkdirSync(join(rootfs, "tmp/p"), { recursive: true });
      rmSync(join(rootfs, link), { recursive: true, force: true });
      symlinkSync(target, join(rootfs, link));
    };
    workshop.image(name, "latest", fill, ["PATH=/bin:/usr/bin"]);
  }
});

afterAll(() => workshop.remove());

describe.each(["crun", "runc"] as const)("%s", (runtime) => {
  let builder: Builder;

  beforeAll(async () => {
    const choice = runtime === "crun" ? "auto" : runtime;
    const store = `overlayfs:${workshop.path(runtime)}`;
    builder = await workshop.open({ store, runtime: choice });
  });

  afterAll(() => builder.close());

  async function build(ops: string, image = "busybox"): Promise<string> {
    const log = new TextLog();
    const spec = readSpec(`((from ${image}) (shell /bin/sh -c) ${ops})`);
    const secrets = [["s", Buffer.from("value")]] as const;
    await builder.build({ spec, sourceDir: workshop.path("source"), log, secrets });
    return log.text;
  }

  const cacheAt = (target: string, before = "") =>
    build(`${before} (run (cache (c (target ${target}))) (shell true))`);
  const secretAt = (target: string, before = "") =>
    build(`${before} (run (secrets (s (target ${target}))) (shell true))`);

  const places = ["/dev", "/dev/x", "/proc", "/proc/self/x", "/sys", "/sys/fs/cgroup/x", "/"];
  const disguised = ["//dev/", "dev", "/x/../dev/y", "/../proc", "/./sys/.", "/.."];

  it.each([...places, ...disguised])("mounts nothing on %s", async (target) => {
    await expect(cacheAt(target)).rejects.toThrow(
      /^No cache can be mounted (on \/|at or below \/)/,
    );
    await expect(secretAt(target)).rejects.toThrow(/^No secret can be mounted (on \/|at or below)/);
  });

  const links = `(run (shell "ln -s /dev /l; ln -s dev/shm /m; ln -s ../../../../proc /n; ln -s n /o;
    mkdir -p /d/e; ln -s ../../l /d/e/up; ln -s loop /loop"))`;

  it.each(["/l", "/l/x", "/m", "/n", "/n/self", "/o/y/..", "/d/e/up/z", "/d/e/../e/up"])(
    "mounts nothing there through links in the image: %s",
    async (target) => {
      await expect(cacheAt(target, links)).rejects.toThrow(/at or below .*, which leads to "\//);
      await expect(secretAt(target, links)).rejects.toThrow(/at or below .*, which leads to "\//);
    },
  );

  it("does not follow links without end", async () => {
    await expect(cacheAt("/loop/x", links)).rejects.toThrow("leads through too many links");
  });

  it("mounts nothing there through links in a cache", async () => {
    const cache = (target: string) => `(links-${runtime} (target ${target}))`;
    await build(
      `(run (cache ${cache("/a")}) (shell "ln -s /dev /a/l; mkdir /a/in; ln -s in /a/k"))`,
    );
    const both = (outer: string, inner: string) =>
      build(`(run (cache ${cache(outer)} (d (target ${inner}))) (shell "touch ${inner}/f"))`);
    await expect(both("/a", "/a/l")).rejects.toThrow('which leads to "/dev"');
    await expect(both("/b", "/b/l/x")).rejects.toThrow('which leads to "/dev/x"');
    // Links that stay in there are as good as elsewhere, and what is missing is made in the cache.
    await both("/a", "/a/k/new");
    const found = `(run (cache ${cache("/z")} (d (target /d))) (shell "ls -d /z/in/*; ls /d"))`;
    expect(await build(found)).toBe("/z/in/new\nf\n");
  });

  it("does not let a cache stand for /dev, for the runtime to find links in it", async () => {
    const spec = readFileSync(join(import.meta.dirname, "../cases/dev-cache/kmsg.spec"));
    const log = new TextLog();
    const request = { spec: readSpec(spec), sourceDir: workshop.path("source"), log };
    await expect(builder.build(request)).rejects.toThrow("mounted at or below /dev");
  });

  it.each(["proc-link", "sys-link", "dev-link"])("refuses an image with a %s", async (image) => {
    await expect(build("(run (shell true))", image)).rejects.toThrow(
      `The image has a link in place of /${image.slice(0, -5)}; it must be a directory`,
    );
  });

  it.each(["etc-link", "hosts-link"])("refuses an image with an %s to there", async (image) => {
    await expect(build("(run (shell true))", image)).rejects.toThrow('"/etc/hosts", which leads');
  });

  it("follows links to anywhere else inside of the root", async () => {
    const before = `(run (shell "ln -s ../../../../real /abs; ln -s /abs /again"))`;
    const steps = `(run (cache (in-${runtime} (target /again/c))) (secrets (s (target /abs/s)))
      (shell "touch /real/c/f; cat /real/s; ls /abs"))
      (run (shell "ls -l /real | cut -c1-10,45-; stat -c %a /real /real/c"))`;
    expect(await build(before + steps)).toMatch(/^valuec\ns\n[\s\S]*755\n755\n$/);
    expect(() => readdirSync("/real")).toThrow(/ENOENT/);
  });

  it.each(["/proc/self/fd/7", "/proc", "/fds/3", "/dev/fd/8"])(
    "does not work in %s, where a process has what it opened on the host",
    async (cwd) => {
      const before = '(run (shell "ln -s /proc/self/fd /fds"))';
      await expect(build(`${before} (workdir ${cwd}) (run (shell pwd))`)).rejects.toThrow(
        "No step can work in /proc or /dev/fd",
      );
    },
  );

  it("works in what is no process's", async () => {
    expect(await build("(workdir /dev/shm) (run (shell pwd))")).toBe("/dev/shm\n");
  });
});
