/** Files of images, through all programs: as they come of an engine, by both of its builders. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { DockerEngine, Registry } from "../support/docker-engine.js";

let cluster: Cluster;
let engine: DockerEngine;
let registry: Registry;
let busybox: string;

beforeAll(async () => {
  engine = await DockerEngine.start();
  registry = await Registry.start();
  busybox = `${registry.host}/busybox:1`;
  await engine.pushBusybox(busybox);
  cluster = await Cluster.start();
  await cluster.worker("docker-worker", ["--docker-network=none"], {
    DOCKER_HOST: `unix://${engine.socket}`,
  });
});

afterAll(async () => {
  await cluster?.stop();
  await registry?.stop();
  await engine?.stop();
});

const MAKE = [
  "mkdir -p /out/sub /real/deep",
  "cd /out",
  "echo one > a.txt",
  "chmod 640 a.txt",
  "ln a.txt hard",
  "ln -s ../../../etc/passwd up",
  "echo two > sub/b.txt",
  "touch -d '2001-02-03 04:05:06' a.txt",
  "dd if=/dev/zero of=zeros bs=1M count=4",
  "ln /out/a.txt /real/deep/same",
  "ln -s /real /linked",
  "ln -s deep /real/latest",
].join(" && ");

/** The result of a Dockerfile of one command. */
function submit(command: string, outputs: readonly string[], more: readonly string[] = []) {
  const dockerfile = cluster.write("Dockerfile", `FROM ${busybox}\nRUN ${command}\n`);
  const places = outputs.map((output) => `--output=${output.replace(":", `:${cluster.dir}/`)}`);
  return cluster.submitDocker([`--local-dockerfile=${dockerfile}`, ...places, ...more]).ended;
}

const at = (path: string) => cluster.path(path);

describe.each([
  ["the classic builder", "classic", []],
  ["BuildKit", "buildkit", ["--buildkit"]],
])("files of an image of %s", (_, name, more) => {
  it("come as directories, files and what patterns stand for", async () => {
    const ended = await submit(
      MAKE,
      [`/out:${name}/got`, `/linked/latest/same:${name}/same`, `/out/**/*.txt:${name}/texts/`],
      more,
    );
    expect(ended, ended.stdout + ended.stderr).toMatchObject({ code: 0 });
    expect(readdirSync(at(`${name}/got`)).sort()).toEqual(
      ["a.txt", "hard", "sub", "up", "zeros"].sort(),
    );
    const file = lstatSync(at(`${name}/got/a.txt`));
    expect(file.mode & 0o7777).toBe(0o640);
    expect(file.mtime.toISOString()).toBe("2001-02-03T04:05:06.000Z");
    expect(file.ino).toBe(lstatSync(at(`${name}/got/hard`)).ino);
    expect(readlinkSync(at(`${name}/got/up`))).toBe("../../../etc/passwd");
    expect(lstatSync(at(`${name}/got/zeros`)).size).toBe(4 * 1024 ** 2);
    expect(readFileSync(at(`${name}/same`), "utf8")).toBe("one\n");
    expect(readFileSync(at(`${name}/texts/sub/b.txt`), "utf8")).toBe("two\n");
    expect(await engine.containers()).toEqual([]);
  });
});

it("what is not there fails the job, and of one that fails nothing is kept", async () => {
  const missing = await submit("true", ["/nothing:nothing"]);
  expect(missing).toMatchObject({ code: 1 });
  expect(missing.stdout).toMatch(/The output "\/nothing" is not there/);
  const failed = await submit("false", ["/bin:bin"], ["--output-on=always"]);
  expect(failed).toMatchObject({ code: 1 });
  expect(failed.stdout).toMatch(/engine gives nothing of what a failed step has left/);
  expect(await engine.containers()).toEqual([]);
});
