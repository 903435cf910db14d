/*
 * Which OCI runtime to use: the fastest one that works here. crun starts a step three to four times as fast as runc, but
 * not every crun works on every host; whether one does is found out by running a step.
 */

import { lstatSync, mkdirSync, readlinkSync, symlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { RuntimeChoice } from "../choices.js";
import type { CacheMount } from "../contracts.js";
import { StoreError } from "../errors.js";
import { listMounts } from "../mounts.js";
import { ROOT } from "../spec.js";
import { OciSandbox, type OciSandboxOptions, type RuntimeName } from "./oci-sandbox.js";

const BY_SPEED: readonly RuntimeName[] = ["crun", "runc"];

/** A sandbox with the runtime asked for. Throws `StoreError` if there is to be a choice and none works. */
export async function chooseRuntime(
  choice: RuntimeChoice,
  options: Omit<OciSandboxOptions, "runtime" | "hiddenMount">,
): Promise<OciSandbox> {
  if (choice !== "auto") return await withRuntime(choice, options);
  const failures: string[] = [];
  for (const runtime of BY_SPEED) {
    const sandbox = await withRuntime(runtime, options);
    const failure = await selfTest(sandbox, options.stateDir);
    if (failure === undefined) return sandbox;
    sandbox.close();
    failures.push(`${runtime}: ${failure}`);
  }
  throw new StoreError(
    `No container runtime works here; install runc or crun.\n${failures.join("\n")}`,
  );
}

async function withRuntime(
  runtime: RuntimeName,
  options: Omit<OciSandboxOptions, "runtime" | "hiddenMount">,
): Promise<OciSandbox> {
  const hiddenMount = runtime === "crun" ? await unifiedBesideV1() : undefined;
  return new OciSandbox({ ...options, runtime, hiddenMount });
}

/** The mount point of cgroup v2 where it is mounted beside v1 ("hybrid"). crun refuses to work when it sees that. */
async function unifiedBesideV1(): Promise<string | undefined> {
  const cgroups = (await listMounts()).filter(({ type }) => type.startsWith("cgroup"));
  const unified = cgroups.find(({ type }) => type === "cgroup2");
  return cgroups.some(({ type }) => type === "cgroup") ? unified?.target : undefined;
}

/** Runs `true` of the host in the sandbox; resolves with what went wrong. */
async function selfTest(sandbox: OciSandbox, stateDir: string): Promise<string | undefined> {
  const path = join(stateDir, "private", "self-test");
  const output: Buffer[] = [];
  try {
    const caches = hostPrograms(join(path, "rootfs"));
    const step = {
      argv: ["true"],
      cwd: "/",
      user: ROOT,
      env: [["PATH", "/usr/bin:/bin"]],
      network: [],
      caches,
      secrets: [],
    } as const;
    await sandbox.run(
      step,
      { id: "self-test", path },
      {
        log: { write: (data) => void output.push(Buffer.from(data)) },
        signal: new AbortController().signal,
      },
    );
    return undefined;
  } catch (error) {
    const said = Buffer.concat(output).toString("utf8").trim();
    return said === "" ? (error as Error).message : said;
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** Makes a root where the host's programs are: links as they are, directories to be mounted. */
function hostPrograms(rootfs: string): CacheMount[] {
  mkdirSync(rootfs, { recursive: true });
  const mounts: CacheMount[] = [];
  for (const name of ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"]) {
    const source = join("/", name);
    const stats = lstatSync(source, { throwIfNoEntry: false });
    if (stats?.isSymbolicLink()) symlinkSync(readlinkSync(source), join(rootfs, name));
    else if (stats?.isDirectory()) mounts.push({ source, target: source });
  }
  return mounts;
}
