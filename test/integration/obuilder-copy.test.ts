/**
 * What a copy finds in its way: links, directories, files. The same comes out as of a Docker
 * engine's COPY, whatever tar the image has and whatever runs it.
 */

import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BuilderOptions, readSpec } from "../../src/obuilder/index.js";
import { inspectStore, parseStoreSpec } from "../../src/obuilder/stores/open-store.js";
import { TextLog, Workshop } from "../support/builder.js";
import { DockerEngine } from "../support/docker-engine.js";
import { addBashAndTar, busyboxWithMountPoints, withTemporaryRoot } from "../support/oci-layout.js";
import { describeTree } from "../support/tree.js";

let workshop: Workshop;
let engine: DockerEngine;
let dockerHost: string | undefined;
let source: string;

/** As in Debian's images, `/lib` is a link. `OUTSIDE` exists on this machine. */
function rootWithLinks(rootfs: string): void {
  for (const dir of ["usr/lib", "usr/lib64", "real", "full/dir", "tmp", "root", "home/u"]) {
    mkdirSync(join(rootfs, dir), { recursive: true });
  }
  symlinkSync("usr/lib", join(rootfs, "lib"));
  symlinkSync("usr/lib64", join(rootfs, "lib64"));
  busyboxWithMountPoints(rootfs);
  writeFileSync(join(rootfs, "real/old"), "old\n");
  writeFileSync(join(rootfs, "full/file"), "old\n");
  const links = {
    link: "real",
    filelink: "/link/old",
    dangling: "real/new",
    danglingdir: "/gone/dir",
    up: `../../../..${outside()}`,
    absolute: outside(),
    "full/alias": "../real/kept",
  };
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(rootfs, name));
  writeFileSync(join(rootfs, "real/kept"), "kept\n");
  chmodSync(join(rootfs, "tmp"), 0o1777);
  chmodSync(join(rootfs, "root"), 0o700);
}

function outside(): string {
  return workshop.path("outside");
}

/** Instructions of a Dockerfile, and operations that do the same. */
const COPIES: [instruction: string, operation: string][] = [
  ["COPY f /link/", "(copy (src f) (dst /link/))"],
  ["COPY f /lib/x/", "(copy (src f) (dst /lib/x/))"],
  ["COPY f /dangling", "(copy (src f) (dst /dangling))"],
  ["COPY f /filelink", "(copy (src f) (dst /filelink))"],
  ["COPY f /danglingdir/", "(copy (src f) (dst /danglingdir/))"],
  ["COPY lib /lib", "(copy (src lib) (dst /))"],
  ["COPY lib /link", "(copy (src lib) (dst /link))"],
  ["COPY f /full/dir", "(copy (src f) (dst /full/dir))"],
  ["COPY full /full", "(copy (src full) (dst /full))"],
  ["COPY f g /tmp/", "(copy (src f g) (dst /tmp/))"],
  ["COPY f /root/", "(copy (src f) (dst /root/))"],
  ["COPY f /home/u/", "(copy (src f) (dst /home/u/))"],
  ["COPY lib /real", "(copy (src lib) (dst /real))"],
  ["COPY f /link/../dots/", "(copy (src f) (dst /link/../dots/))"],
  ["COPY f /up/", "(copy (src f) (dst /up/))"],
  ["COPY g /absolute/", "(copy (src g) (dst /absolute/))"],
];

const IMAGES: Record<string, (rootfs: string) => void> = {
  busybox: rootWithLinks,
  gnu: (rootfs) => {
    rootWithLinks(rootfs);
    addBashAndTar(rootfs);
  },
};

beforeAll(async () => {
  workshop = new Workshop();
  mkdirSync(outside());
  source = workshop.path("source");
  for (const dir of ["lib/sub", "full", "tree/lib", "tree/tmp", "empty"]) {
    mkdirSync(join(source, dir), { recursive: true });
  }
  for (const path of ["f", "g", "lib/ours", "lib/sub/ours", "full/alias", "full/file"]) {
    writeFileSync(join(source, path), `${path}\n`);
  }
  writeFileSync(join(source, "tree/lib/deep"), "deep\n");
  writeFileSync(join(source, "tree/tmp/deep"), "deep\n");
  symlinkSync("elsewhere", join(source, "l"));
  mkdirSync(join(source, "one"));
  mkdirSync(join(source, "two/name"), { recursive: true });
  symlinkSync("../../real", join(source, "one/name"));
  writeFileSync(join(source, "two/name/inside"), "");
  writeFileSync(join(source, "two/f"), "second\n");
  dockerHost = process.env.DOCKER_HOST;
  engine = await DockerEngine.start();
  process.env.DOCKER_HOST = `unix://${engine.socket}`;
  for (const [name, fill] of Object.entries(IMAGES)) {
    workshop.image(name, "1", fill, ["PATH=/bin:/usr/bin"]);
    const root = withTemporaryRoot(fill, (rootfs) =>
      execFileSync("tar", ["-C", rootfs, "-c", "."], { maxBuffer: 64 * 1024 * 1024 }),
    );
    docker(["import", "-", `${name}:1`], root);
  }
});

afterAll(async () => {
  if (dockerHost === undefined) delete process.env.DOCKER_HOST;
  else process.env.DOCKER_HOST = dockerHost;
  await engine?.stop();
  workshop?.remove();
});

/** Calls Debian's client, which has a builder; another one in PATH may have none. */
function docker(args: string[], input?: Buffer): string {
  const env = { ...process.env, DOCKER_BUILDKIT: "1" };
  return execFileSync("/usr/bin/docker", args, { input, env, stdio: "pipe" }).toString();
}

/** Without what an engine or a runtime puts into each container, and the owners of links. */
function tree(root: string): string[] {
  const ofContainers = /^\w+ \S+ \S+ (\.dockerenv|(dev|proc|sys|etc)(\/\S*)?)( |$)/;
  return describeTree(root)
    .split("\n")
    .filter((line) => !ofContainers.test(line))
    .map((line) => line.replace(/^(link \d+) \d+:\d+/, "$1"));
}

const dockerTrees = new Map<string, string[]>();

/** What the engine makes of the Dockerfile with all copies. */
function treeByDocker(image: string): string[] {
  const known = dockerTrees.get(image);
  if (known) return known;
  const file = workshop.path("Dockerfile");
  const copies = COPIES.map(([instruction]) => instruction);
  writeFileSync(file, [`FROM ${image}:1`, ...copies, ""].join("\n"));
  docker(["build", "--network=none", "--tag=built", `--file=${file}`, source]);
  const container = docker(["create", "built", "sh"]).trim();
  const root = workshop.path(`docker-${image}`);
  mkdirSync(root);
  docker(["export", "--output", `${root}.tar`, container]);
  docker(["rm", container]);
  execFileSync("tar", ["-C", root, "-xf", `${root}.tar`]);
  const lines = tree(root);
  dockerTrees.set(image, lines);
  return lines;
}

async function build(
  image: string,
  ops: string,
  options: Partial<BuilderOptions> = {},
): Promise<{ id: string; text: string }> {
  const builder = await workshop.open(options);
  const log = new TextLog();
  try {
    const spec = readSpec(`((from ${image}:1) (shell /bin/sh -c) ${ops})`);
    const id = await builder.build({ spec, sourceDir: source, log });
    return { id, text: log.text };
  } finally {
    await builder.close();
  }
}

async function treeOf(store: string, id: string): Promise<string[]> {
  const { store: inspected } = await inspectStore(parseStoreSpec(store));
  try {
    const root = await inspected.rootfs(id);
    try {
      return tree(root.path);
    } finally {
      await root.release();
    }
  } finally {
    await inspected.close();
  }
}

describe("all kinds of copies at once", () => {
  it.each<[image: string, kind: string, options: Partial<BuilderOptions>]>([
    ["busybox", "overlayfs", { runtime: "crun" }],
    ["busybox", "rsync", { runtime: "runc", rsyncMode: "copy" }],
    ["gnu", "overlayfs", { runtime: "runc" }],
    ["gnu", "rsync", { runtime: "crun", rsyncMode: "copy" }],
    ["busybox", "docker", {}],
  ])("with the tar of %s, on %s, are Docker's", async (image, kind, options) => {
    const store = `${kind}:${workshop.path(`${kind}-${image}`)}`;
    const ops = COPIES.map(([, operation]) => operation).join(" ");
    const { id } = await build(image, ops, { ...options, store });
    const expected = treeByDocker(image);
    expect(expected).toContain("link 777 lib -> usr/lib");
    expect(await treeOf(store, id)).toEqual(expected);
  });

  it("have left nothing outside of the root", () => {
    expect(execFileSync("find", [outside()], { encoding: "utf8" })).toBe(`${outside()}\n`);
  });
});

describe.each(Object.keys(IMAGES))("with the tar of %s", (image) => {
  const printed = async (ops: string) => (await build(image, ops)).text;

  it("a directory that exists keeps its mode and owner, and is changed now", async () => {
    const dirs = "/tmp /root /home/u";
    const about = `(run (shell "stat -c '%n %a %u' ${dirs}; echo"))`;
    const [before, after, rest] = (
      await printed(`(run (shell "chown 1000 /home/u; touch -d 2001-01-01 ${dirs}")) ${about}
        (copy (src f) (dst /tmp/)) (copy (src f) (dst /root/)) (copy (src f) (dst /home/u/)) ${about}
        (run (shell "find ${dirs} -maxdepth 0 -mmin -60 | wc -l"))
        (user (uid 1000) (gid 1000))
        (run (shell "touch /tmp/x /home/u/x && echo may write"))`)
    ).split("\n\n");
    expect(before).toBe("/tmp 1777 0\n/root 700 0\n/home/u 755 1000");
    expect(after).toBe(before);
    expect(rest).toBe("3\nmay write\n");
  });

  it("whole trees go through links that are in their way, and spare directories", async () => {
    const show = '(run (shell "readlink /lib; cat /usr/lib/deep /tmp/deep; stat -c %a /tmp"))';
    const expected = "usr/lib\ndeep\ndeep\n1777\n";
    expect(await printed(`(copy (src tree/lib tree/tmp) (dst /)) ${show}`)).toBe(expected);
    expect(await printed(`(copy (src tree) (dst /.)) ${show}`)).toBe(expected);
  });

  it("an empty directory is copied onto one that exists", async () => {
    expect(await printed('(copy (src empty) (dst /real)) (run (shell "ls /real"))')).toBe(
      "kept\nold\n",
    );
  });

  it("a link that is copied takes the place of a link", async () => {
    expect(
      await printed(`(copy (src l) (dst /link)) (copy (src l) (dst /filelink))
        (run (shell "readlink /link; readlink /filelink; cat /real/old"))`),
    ).toBe("elsewhere\nelsewhere\nold\n");
  });

  it("a file takes the place of a link to a device", async () => {
    expect(
      await printed(`(run (shell "ln -s /dev/null /unit")) (copy (src f) (dst /unit))
        (run (shell "cat /unit"))`),
    ).toBe("f\n");
  });

  it("what is of another kind is not replaced", async () => {
    const refused = (ops: string) => expect(build(image, ops)).rejects;
    await refused("(copy (src f) (dst /real/old/))").toThrow(
      `Can't copy to "/real/old": it is not a directory`,
    );
    await refused("(copy (src lib) (dst /real/old))").toThrow(
      `Can't copy to "/real/old": a directory cannot take its place`,
    );
    await refused('(run (shell "mkdir -p /x/f/y")) (copy (src f) (dst /x/))').toThrow(
      `Can't copy to "/x/f": it is a directory`,
    );
    await refused('(run (shell "ln -s a /b; ln -s b /a")) (copy (src f) (dst /a/x/))').toThrow(
      `Can't copy to "/a/x": it leads through too many links`,
    );
  });
});

describe("names that come twice in a copy", () => {
  it.each(Object.keys(IMAGES))("with the tar of %s are the last", async (image) => {
    const { text } = await build(
      image,
      `(copy (src one/name two/name f two/f) (dst /d/))
       (run (shell "readlink /d/name; ls /real; cat /d/f"))`,
    );
    expect(text).toBe("../../real\ninside\nkept\nold\nsecond\n");
  });
});

it("a copy from a nested build drops what its id does not stand for", async () => {
  const stat = "stat -c '%n %a %u %h'";
  const builder = await workshop.open();
  const log = new TextLog();
  try {
    const spec = readSpec(`
      ((build parts ((from busybox:1) (shell /bin/sh -c)
         (run (shell "mkdir -m 1777 /p; cd /p; echo hush > private; chown 5 private; chmod 400 private; ln private hard; cp private su; chmod 4711 su"))))
       (from busybox:1) (shell /bin/sh -c)
       (copy (from (build parts)) (src /p) (dst /p))
       (run (shell "${stat} /p /p/private /p/hard /p/su")))`);
    await builder.build({ spec, sourceDir: source, log });
  } finally {
    await builder.close();
  }
  expect(log.text).toBe("/p 755 0 2\n/p/private 644 0 1\n/p/hard 644 0 1\n/p/su 755 0 1\n");
});
