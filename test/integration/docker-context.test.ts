/**
 * What of a context gets into images: with BuildKit the same as with Docker's own client, down to
 * modes, times and links.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { DockerBuilder } from "../../src/worker/docker/docker-builder.js";
import { JobLog } from "../../src/worker/log/job-log.js";
import { openNameless } from "../../src/worker/log/log-file.js";
import { WorkerMetrics } from "../../src/worker/metrics.js";
import { DockerEngine } from "../support/docker-engine.js";
import { describeTree } from "../support/tree.js";

let engine: DockerEngine;
let dir: string;
let src: string;

beforeAll(async () => {
  engine = await DockerEngine.start();
});

afterAll(() => engine?.stop());

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-context-"));
  src = join(dir, "src");
  mkdirSync(src);
});

afterEach(() => rmSync(dir, { recursive: true }));

function write(files: Record<string, string | Buffer>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(src, name)), { recursive: true });
    writeFileSync(join(src, name), content);
  }
}

interface Way {
  /** Of the Dockerfile in the context. */
  readonly path?: string;
  readonly buildkit?: boolean;
}

/** The tree of the image that a worker builds. */
async function workersTree({ buildkit = true, path = "Dockerfile" }: Way = {}): Promise<string> {
  const builder = new DockerBuilder({
    docker: engine.docker,
    allowPush: [],
    metrics: new WorkerMetrics(),
  });
  const log = new JobLog({ openFile: () => openNameless(tmpdir()) });
  const before = await images();
  const building = builder.build(
    {
      kind: "docker",
      dockerfile: { path },
      buildArgs: [],
      squash: false,
      buildkit,
      includeGit: false,
      secrets: [],
      src,
    },
    { log, signal: new AbortController().signal },
  );
  await building.catch(async (error: Error) => {
    const { data } = await log.page(0);
    throw new Error(`${error.message}\n${Buffer.from(data)}`);
  });
  const [image] = (await images()).filter((id) => !before.includes(id));
  return treeOf(image!);
}

async function images(): Promise<string[]> {
  return (await engine.docker.listImages()).map(({ Id }) => Id);
}

/** The tree of the image that Docker's own client has built. */
async function clientsTree(path = "Dockerfile"): Promise<string> {
  const env = { ...process.env, DOCKER_HOST: `unix://${engine.socket}`, DOCKER_BUILDKIT: "1" };
  // Of another path, or the engine takes the files of the one build for those of the other.
  const copy = join(dir, "copy");
  execFileSync("cp", ["-a", src, copy]);
  const args = ["build", "-q", "--no-cache", "-f", join(copy, path), copy];
  return treeOf(execFileSync("/usr/bin/docker", args, { env, stdio: "pipe" }).toString().trim());
}

/** Everything about the files of an image, whose times are whole seconds, and the image removed. */
async function treeOf(image: string): Promise<string> {
  const container = await engine.docker.createContainer({ Image: image, Cmd: ["none"] });
  const archive = join(dir, "image.tar");
  const root = mkdtempSync(join(dir, "root-"));
  try {
    const chunks: Buffer[] = [];
    for await (const data of await container.export()) chunks.push(data as Buffer);
    writeFileSync(archive, Buffer.concat(chunks));
    execFileSync("tar", [
      "--same-owner",
      "--warning=no-timestamp",
      "-C",
      root,
      "-xpf",
      archive,
      "ctx",
    ]);
    const times = execFileSync("find", ["ctx", "-printf", "%P %Ts\\n"], { cwd: root });
    return [describeTree(join(root, "ctx")), ...times.toString().split("\n").sort()].join("\n");
  } finally {
    await container.remove();
    await engine.docker.getImage(image).remove({ force: true });
  }
}

const scratch = (...lines: string[]) => ["FROM scratch", ...lines, ""].join("\n");

const filesIn = (tree: string) =>
  [...tree.matchAll(/^(?:file|link) \S+ \S+ (\S+)/gm)].map(([, name]) => name);

it.each([true, false])(
  "an ignored Dockerfile and ignore file stay out (BuildKit: %s)",
  async (buildkit) => {
    const fixture = join(import.meta.dirname, "../cases/buildkit-dockerignore");
    cpSync(fixture, src, { recursive: true });
    write({
      Dockerfile: scratch("COPY . /ctx"),
      ".dockerignore": "Dockerfile\n.dockerignore\nREADME\n",
    });
    expect(filesIn(await workersTree({ buildkit }))).toEqual(["f"]);
  },
);

it("all else is as Docker's client has it", async () => {
  write({
    "sub/Dockerfile": scratch("COPY . /ctx"),
    ".dockerignore": "*.o\nout\n!out/keep\n!keep.o\n**/tmp/*\n",
    "a.o": "left out",
    "keep.o": "kept",
    "out/keep/x": "an exception",
    "out/other/x": "left out",
    "deep/tmp/x": "left out, but its directory is not",
    "empty-file": "",
    "mode-600": "private",
    "mode-4755": "setuid",
    "dir-1777/x": "sticky",
    "a/b": "before",
    "a-b": "between a and a/b by its bytes, and behind it by its path",
    "ünïcode, and commas": "x",
    big: Buffer.alloc(5_000_000, "0123456789"),
    old: "from before 1970",
  });
  for (const mode of ["600", "4755"])
    chmodSync(join(src, `mode-${mode}`), Number.parseInt(mode, 8));
  chmodSync(join(src, "dir-1777"), 0o1777);
  symlinkSync("../outside", join(src, "link-out"));
  symlinkSync("/etc/passwd", join(src, "link-absolute"));
  symlinkSync("a", join(src, "link-to-directory"));
  linkSync(join(src, "a/b"), join(src, "same-as-a-b"));
  linkSync(join(src, "a.o"), join(src, "z1"));
  linkSync(join(src, "a.o"), join(src, "z2"));
  mkdirSync(join(src, "empty-dir"));
  lutimesSync(join(src, "old"), new Date(-1_000_500), new Date(-1_000_500));
  lutimesSync(join(src, "link-out"), 1e9, 1e9);
  lutimesSync(join(src, "empty-dir"), 1_234_567_890, 1_234_567_890);
  const expected = await clientsTree("sub/Dockerfile");
  expect(await workersTree({ path: "sub/Dockerfile" })).toBe(expected);
});

it("links on the way to what is copied are followed, inside of the context", async () => {
  write({
    Dockerfile: scratch(
      "COPY link/x /ctx/1/",
      "COPY link/y /ctx/2/",
      "COPY many/*/file /ctx/3/",
      "COPY many/l* /ctx/4/",
      "COPY up /ctx/5",
      "COPY absolute /ctx/6",
      'COPY ["a[[]1]", "!odd", "#odd", "with, comma", "ü", "/ctx/7/"]',
    ),
    "real/x": "x",
    "real/y": "y",
    "many/one/file": "one",
    "elsewhere/file": "two",
    "a[1]": "brackets",
    "!odd": "!",
    "#odd": "#",
    "with, comma": "comma",
    ü: "beyond ASCII",
    "not/asked/for": "x",
  });
  symlinkSync("real", join(src, "link"));
  symlinkSync("../elsewhere", join(src, "many/link"));
  symlinkSync("../../../../real/x", join(src, "up"));
  symlinkSync("/link/y", join(src, "absolute"));
  symlinkSync("round", join(src, "round"));
  const expected = await clientsTree();
  expect(await workersTree()).toBe(expected);
  expect(filesIn(expected)).toHaveLength(11);
});

it("one job's files are never taken for another's that look the same", async () => {
  const time = new Date("2020-01-01");
  const build = async (content: string) => {
    write({ Dockerfile: scratch("COPY f /ctx/"), f: content });
    utimesSync(join(src, "f"), time, time);
    return workersTree();
  };
  const trees = [await build("first"), await build("other")];
  expect(trees[0]).not.toBe(trees[1]);
});
