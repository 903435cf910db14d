/** deploy/cloud: what they make of the clouds' programs, which are fakes here. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const CLOUD = join(import.meta.dirname, "../../deploy/cloud");

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-cloud-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Has a program of that name be a piece of shell there; what it is called with is in `args`. */
function fake(name: string, shell: string): void {
  const path = join(dir, name);
  writeFileSync(path, `#!/bin/sh\ncd ${dir}\necho "$@" >> args\n${shell}\n`);
  chmodSync(path, 0o755);
}

function runScript(script: string, verb: string, pool = "linux") {
  const { status, stderr, stdout } = spawnSync("sh", [join(CLOUD, script), verb], {
    encoding: "utf8",
    env: {
      PATH: `${dir}:${process.env.PATH}`,
      ...{ OCLUSTER_POOL: pool, OCLUSTER_GROUP: "gpu", OCLUSTER_COUNT: "2" },
    },
  });
  return { status, stderr, stdout };
}

const args = () => readFileSync(join(dir, "args"), "utf8");

describe("openstack.sh", () => {
  const sum = execFileSync("sh", ["-c", "printf ocluster/linux | cksum | cut -d ' ' -f 1"], {
    encoding: "utf8",
  }).trim();
  const prefix = `ocluster-gpu-${sum}`;

  it("lists the group's own, and deletes what has shut down", () => {
    const lines = ["0a1b2c3d ACTIVE", "11111111 BUILD", "22222222 SHUTOFF", "big-12345678 ACTIVE"];
    const list = lines.map((line) => `${prefix}-${line}\\n`).join("");
    fake("openstack", `case $2 in list) printf '${list}' ;; delete) echo no >&2; exit 1 ;; esac`);
    expect(runScript("openstack.sh", "list")).toMatchObject({
      status: 0,
      stdout: `${prefix}-0a1b2c3d running\n${prefix}-11111111 pending\n`,
      stderr: expect.stringContaining(`cannot delete ${prefix}-22222222`),
    });
    expect(args()).toContain(`server delete ${prefix}-22222222\n`);
  });

  it("does not take a list that fails for an empty one", () => {
    fake("openstack", "exit 0");
    expect(runScript("openstack.sh", "list")).toMatchObject({ status: 0, stdout: "" });
    fake("openstack", "echo denied >&2; exit 1");
    expect(runScript("openstack.sh", "list")).toMatchObject({ status: 1, stdout: "" });
  });

  it("names servers by pool and group, so that no two groups have the same", () => {
    fake("openstack", 'shift $(($# - 1)); echo "$1"');
    const own = runScript("openstack.sh", "launch").stdout.trim().split("\n");
    expect(own).toHaveLength(2);
    for (const name of own) expect(name).toMatch(new RegExp(`^${prefix}-[0-9a-f]{8}$`));
    expect(runScript("openstack.sh", "launch", "other_pool").stdout).not.toContain(prefix);
  });
});

describe("aws.sh", () => {
  it("prints one id in a line, and tags with pool and group", () => {
    fake("aws", "printf 'i-1\\ti-2\\n'");
    expect(runScript("aws.sh", "launch")).toMatchObject({ status: 0, stdout: "i-1\ni-2\n" });
    const tags = "{Key=ocluster-pool,Value=linux},{Key=ocluster-group,Value=gpu}";
    expect(args()).toContain(tags);
    runScript("aws.sh", "list");
    expect(args()).toContain("Name=tag:ocluster-pool,Values=linux");
  });

  it.each(["launch", "list"])("fails when aws does: %s", (verb) => {
    fake("aws", "exit 254");
    expect(runScript("aws.sh", verb)).toMatchObject({ status: 254, stdout: "" });
  });
});
