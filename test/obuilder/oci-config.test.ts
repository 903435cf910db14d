/*
 * The runtime's configuration, to the letter: it decides what steps see and may do.
 */

import { describe, expect, it } from "vitest";
import type { SandboxStep } from "../../src/obuilder/contracts.js";
import { BuildError } from "../../src/obuilder/errors.js";
import { type ConfigOptions, ociConfig } from "../../src/obuilder/sandboxes/oci-config.js";
import { ROOT } from "../../src/obuilder/spec/spec.js";
import { goldenJson } from "../support/golden.js";

const OPTIONS: ConfigOptions = {
  rootfs: "ROOTFS",
  configDir: "TMP",
  fastSync: false,
  limits: {},
  arch: "x64",
};

const IMAGE_ENV = [
  ["PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  ["LANG", "C"],
] as const;

const PLAIN: SandboxStep = {
  argv: ["/usr/bin/env", "bash", "-c", "true"],
  cwd: "/src",
  user: ROOT,
  env: [["A", "x y"], ...IMAGE_ENV],
  network: [],
  caches: [],
  secrets: [],
};

/** As it is written to the file. */
function config(step: Partial<SandboxStep>, options: Partial<ConfigOptions> = {}): unknown {
  return JSON.parse(JSON.stringify(ociConfig({ ...PLAIN, ...step }, { ...OPTIONS, ...options })));
}

const secret = (target: string) => ({ value: Buffer.from("v"), target });

describe("as the reference writes it", () => {
  it("a plain step", () => {
    expect(config({})).toEqual(goldenJson("obuilder/runc/run-plain.json"));
  });

  it("a step with the host's network, caches and secrets", () => {
    const step = {
      argv: ["/usr/bin/env", "bash", "-c", "make"],
      user: { uid: 1000n, gid: 100n },
      network: ["host"],
      caches: [
        { source: "CACHES/0-c1", target: "/cache/one" },
        { source: "CACHES/1-c2", target: "/two" },
      ],
      secrets: [secret("/k"), secret("/run/secrets/s1")],
    };
    expect(config(step)).toEqual(goldenJson("obuilder/runc/run-host-network-caches-secrets.json"));
  });

  it("the unpacking of a copy", () => {
    const step = { argv: ["tar", "-xf", "-"], cwd: "/", env: [["PATH", "/bin:/usr/bin"]] as const };
    expect(config(step)).toEqual(goldenJson("obuilder/runc/copy.json"));
  });

  it("a step that need not wait for the disk", () => {
    const step = { argv: ["/usr/bin/env", "bash", "-c", "x"], cwd: "/", env: IMAGE_ENV };
    expect(config(step, { fastSync: true })).toEqual(
      goldenJson("obuilder/runc/run-fast-sync.json"),
    );
  });
});

describe("beyond the reference", () => {
  it("has resources only when there are limits", () => {
    const limits = { cpus: 1.5, memory: 512 * 1024 * 1024, pids: 100 };
    expect(config({}, { limits })).toMatchObject({
      linux: {
        resources: {
          cpu: { quota: 150_000, period: 100_000 },
          memory: { limit: 536_870_912, swap: 536_870_912 },
          pids: { limit: 100 },
        },
      },
    });
    expect(config({})).not.toHaveProperty("linux.resources");
  });

  it("keeps steps away from devices where the runtime would not", () => {
    expect(config({}, { denyDevices: true })).toMatchObject({
      linux: { resources: { devices: [{ allow: false, access: "rwm" }] } },
    });
  });

  it("has no list of architectures where the reference knows none", () => {
    expect(config({}, { arch: "riscv64" })).not.toHaveProperty("linux.seccomp.architectures");
  });
});

describe("what no runtime can do", () => {
  it("is another network than none or the host's", () => {
    expect(() => config({ network: ["a", "b"] })).toThrow(
      new BuildError('Failure("Unsupported network configuration [\\"a\\"; \\"b\\"]")'),
    );
    expect(() => config({ network: ["host", "host"] })).toThrow(BuildError);
  });

  it("is to be a Windows user", () => {
    expect(() => config({ user: { name: "ContainerAdministrator" } })).toThrow(/Windows user/);
  });

  it.each([-1n, 0xffff_ffffn, 1n << 61n])("is to be user number %s", (uid) => {
    expect(() => config({ user: { uid, gid: 0n } })).toThrow(/out of range/);
  });
});
