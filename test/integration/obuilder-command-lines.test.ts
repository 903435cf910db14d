/**
 * Command lines of `obuilder`: the reference's that it takes, and those that are refused.
 */
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Workshop } from "../support/builder.js";
import { type Ended, run } from "../support/programs.js";

let workshop: Workshop;
let store: string[];

beforeAll(() => {
  workshop = new Workshop();
  store = [
    `--store=overlayfs:${workshop.path("store")}`,
    `--obuilder-image-dir=${workshop.path("images")}`,
    "--obuilder-fetch=local",
  ];
});

afterAll(() => workshop.remove());

const obuilder = (args: readonly string[]): Promise<Ended> =>
  run("obuilder", args, { cwd: workshop.dir });

describe("command lines", () => {
  it("takes the reference's options for all its sandboxes", async () => {
    const options = [
      ...["--docker-cpus=1.5", "--docker-memory=1g", "--docker-network=host"],
      ...["--docker-isolation=default", "--qemu-cpus=2", "--qemu-memory=2", "--qemu-boot-time=30"],
      ...["--qemu-guest-os=linux", "--qemu-guest-arch=amd64", "--hcs-ctr-path=ctr"],
      ...["--hcs-hcn-namespace-path=x", "--fast-sync", "--verbosity=info"],
    ];
    expect(await obuilder(["healthcheck", ...store, ...options])).toEqual({
      code: 0,
      signal: null,
      stdout: "Healthcheck passed\n",
      stderr: "",
    });
  });

  it.each<[string[], string]>([
    [[], "required COMMAND name is missing, must be one of 'build', "],
    [["bulid"], "unknown command 'bulid', did you mean 'build'?"],
    [["build"], "required options --store, -f are missing"],
    [["build", "-f", "nowhere", "--store=rsync:/x", "."], "option '-f': no 'nowhere' file"],
    [["build", "-f", "token", "--store=zfs:x"], "required argument DIR is missing"],
    [["build", "-f", "token", "--store=zfs:x", "none"], "argument DIR: no 'none' directory"],
    [
      ["build", "-f", "token", "--store=zfs:x", "--secret=x", "."],
      "option '--secret': invalid value",
    ],
    [
      ["clean", "--store=zfs:x", "--rsync-mode=fast"],
      "option '--rsync-mode': invalid value 'fast'",
    ],
    [["clean", "--store=zfs:x", "extra"], "too many arguments, don't know what to do with 'extra'"],
    [["clean", "--sotre=zfs:x"], "unknown option '--sotre', did you mean '--store'?"],
    [["prune", "--store=zfs:x"], "one of the options --until and --keep is required"],
    [["prune", "--store=zfs:x", "--until=101"], "option '--until': invalid value '101'"],
    [["prune", "--store=zfs:x", "--keep=-1"], "option '--keep': invalid value '-1'"],
    [["delete", "--store=zfs:x"], "required argument ID is missing"],
  ])("%j is refused with 124", async (args, message) => {
    writeFileSync(workshop.path("token"), "x");
    const { code, stdout, stderr } = await obuilder(args);
    expect({ code, stdout }).toEqual({ code: 124, stdout: "" });
    expect(stderr.startsWith(`obuilder: ${message}`), stderr).toBe(true);
    expect(stderr).toMatch(/\nUsage: obuilder .*\nTry 'obuilder.*' for more information\.\n$/);
  });

  it.each([
    ["tape:/dev/st0", '"tape:/dev/st0" is not a store; it must be overlayfs:/path, '],
    ["overlayfs:relative", '"overlayfs:relative" is not a store; it must be '],
    ["qemu:/x", 'Stores of the kind "qemu:" are not built into this program; use '],
    ["rsync:/nowhere", "An rsync store needs --rsync-mode, one of copy, hardlink, hardlink_unsafe"],
  ])("a store that there cannot be is refused: %s", async (name, message) => {
    const { code, stdout, stderr } = await obuilder(["clean", `--store=${name}`]);
    expect({ code, stdout }).toEqual({ code: 123, stdout: "" });
    expect(stderr.startsWith(message), stderr).toBe(true);
  });
});
