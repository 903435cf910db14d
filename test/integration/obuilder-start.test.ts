/**
 * What a build that is all cached does without: each of these would take as long as the build.
 */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { Workshop } from "../support/builder.js";
import { run, stopAll } from "../support/programs.js";

let workshop: Workshop;
/** A directory with the machine's programs, but for container runtimes. */
let programs: string;

beforeAll(() => {
  workshop = new Workshop();
  programs = workshop.path("programs");
  mkdirSync(programs);
  for (const name of readdirSync("/usr/bin")) {
    if (name !== "crun" && name !== "runc")
      symlinkSync(join("/usr/bin", name), join(programs, name));
  }
});

afterEach(stopAll);
afterAll(() => workshop.remove());

function build(step: string, env: Record<string, string> = {}) {
  const spec = `((from busybox) (shell /bin/sh -c) (run (shell "${step}")))`;
  writeFileSync(workshop.path("start.spec"), spec);
  const store = `--store=overlayfs:${workshop.path("store")}`;
  const images = `--obuilder-image-dir=${workshop.path("images")}`;
  const args = ["build", "-f", "start.spec", store, images, "--obuilder-fetch=local", "source"];
  return run("obuilder", args, { cwd: workshop.dir, env });
}

it("the runtime is tried when there is a step to be run, and is missed then", async () => {
  const first = await build("echo one");
  expect(first).toMatchObject({ code: 0, stderr: "" });
  const without = { PATH: programs };
  const again = await build("echo one", without);
  expect(again).toMatchObject({ code: 0, stderr: "" });
  expect(again.stdout).toContain("from cache");
  expect(again.stdout.split("\n").at(-2)).toBe(first.stdout.split("\n").at(-2));
  const other = await build("echo two", without);
  expect(other.code).toBe(1);
  expect(other.stdout + other.stderr).toContain(
    "No container runtime works here; install runc or crun.",
  );
  expect(await build("echo two")).toMatchObject({ code: 0, stderr: "" });
});
