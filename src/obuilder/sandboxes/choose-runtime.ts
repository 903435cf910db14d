/*
 * Which OCI runtime to use: the fastest one that works here. crun starts a step three to four times
 * as fast as runc, but not every crun works on every host; whether one does is found out by running
 * a step. So is whether the number of processes can be bounded, which a fork bomb would else take
 * from all of the machine.
 */

import { closeSync, lstatSync, mkdirSync, openSync, readlinkSync, symlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Mutex } from "../../async/index.js";
import { listMounts, run } from "../../system/index.js";
import { isNoSpace } from "../build/no-space.js";
import type { RuntimeChoice } from "../choices.js";
import type { CacheMount, LayerDir, Sandbox, SandboxIo, SandboxStep } from "../contracts.js";
import { StoreError } from "../errors.js";
import { ROOT } from "../spec/spec.js";
import {
  DEFAULT_SHELL,
  OciSandbox,
  type OciSandboxOptions,
  privateDir,
  type RuntimeName,
  UNPACK,
} from "./oci-sandbox.js";
import { mostPids, SharedCgroup } from "./shared-cgroup.js";

const BY_SPEED: readonly RuntimeName[] = ["crun", "runc"];

type Options = Omit<
  OciSandboxOptions,
  "runtime" | "hiddenMount" | "devicesDenied" | "devicesCgroup" | "pidsCgroup" | "mostPids"
>;

/**
 * A sandbox with the runtime asked for. Throws `StoreError` if there is to be a choice and none
 * works. If the disk is too full for trying, the choice is made when there is a step to be run; and
 * so it is if `later` says so, as trying takes as long as a whole build that is cached.
 */
export async function chooseRuntime(
  choice: RuntimeChoice,
  options: Options,
  { later = false }: { readonly later?: boolean | undefined } = {},
): Promise<Sandbox & { close(): void }> {
  const choose = () => (choice === "auto" ? fastestRuntime(options) : thisRuntime(choice, options));
  if (later) return new UnchosenSandbox(choose);
  try {
    return await choose();
  } catch (error) {
    if (!isNoSpace(error, options.stateDir)) throw error;
    return new UnchosenSandbox(choose);
  }
}

class UnchosenSandbox implements Sandbox {
  readonly shell = DEFAULT_SHELL;
  readonly tar = UNPACK;
  readonly #choose: () => Promise<OciSandbox>;
  #chosen: OciSandbox | undefined;
  readonly #choice = new Mutex();

  constructor(choose: () => Promise<OciSandbox>) {
    this.#choose = choose;
  }

  async run(step: SandboxStep, layer: LayerDir, io: SandboxIo): Promise<void> {
    const sandbox = await this.#choice.run(async () => (this.#chosen ??= await this.#choose()));
    await sandbox.run(step, layer, io);
  }

  close(): void {
    this.#chosen?.close();
  }
}

async function fastestRuntime(options: Options): Promise<OciSandbox> {
  const failures: string[] = [];
  for (const runtime of BY_SPEED) {
    for (const most of new Set([mostPids(), undefined])) {
      const sandbox = await withRuntime(runtime, most, options);
      const failure = await failureOf(sandbox, options.stateDir);
      if (failure === undefined) return sandbox;
      if (most === undefined) failures.push(`${runtime}: ${failure}`);
    }
  }
  throw new StoreError(
    `No container runtime works here; install runc or crun.\n${failures.join("\n")}`,
  );
}

/** The runtime asked for, whether it works or not. */
async function thisRuntime(runtime: RuntimeName, options: Options): Promise<OciSandbox> {
  const sandbox = await withRuntime(runtime, mostPids(), options);
  const failure = await failureOf(sandbox, options.stateDir);
  return failure === undefined ? sandbox : await withRuntime(runtime, undefined, options);
}

/** What goes wrong when the sandbox is tried; it is closed then. */
async function failureOf(sandbox: OciSandbox, stateDir: string): Promise<string | undefined> {
  try {
    const failure = await selfTest(sandbox, stateDir);
    if (failure !== undefined) sandbox.close();
    return failure;
  } catch (error) {
    sandbox.close();
    throw error;
  }
}

/** `most`: how many processes steps may have, unless their number is limited anyway. */
async function withRuntime(
  runtime: RuntimeName,
  most: number | undefined,
  options: Options,
): Promise<OciSandbox> {
  if (runtime === "runc") return new OciSandbox({ ...options, runtime, mostPids: most });
  const { stateDir } = options;
  const hiddenMount = await unifiedBesideV1();
  const devicesDenied = await areDevicesDenied(privateDir(stateDir));
  const devicesCgroup = devicesDenied ? undefined : await SharedCgroup.forDevices(stateDir);
  const pidsCgroup = most === undefined ? undefined : await SharedCgroup.forPids(stateDir, most);
  return new OciSandbox({
    ...options,
    runtime,
    hiddenMount,
    devicesDenied,
    devicesCgroup,
    pidsCgroup,
    mostPids: most,
  });
}

/**
 * Whether the kernel keeps this process, and what it starts, from devices, as in a container. Then
 * it refuses to open one even if there is no such device. Needs a directory for a file.
 */
async function areDevicesDenied(dir: string): Promise<boolean> {
  const path = join(dir, "device");
  try {
    await run(["mknod", path, "b", NO_SUCH_DEVICE, NO_SUCH_DEVICE]);
    closeSync(openSync(path, "r"));
    return false;
  } catch (error) {
    if (isNoSpace(error, dir)) throw error;
    return (error as NodeJS.ErrnoException).code === "EPERM";
  } finally {
    await rm(path, { force: true });
  }
}

/** Its number, major and minor. */
const NO_SUCH_DEVICE = "255";

/**
 * The mount point of cgroup v2 where it is mounted beside v1 ("hybrid"). crun refuses to work when
 * it sees that.
 */
async function unifiedBesideV1(): Promise<string | undefined> {
  const cgroups = (await listMounts()).filter(({ type }) => type.startsWith("cgroup"));
  const unified = cgroups.find(({ type }) => type === "cgroup2");
  return cgroups.some(({ type }) => type === "cgroup") ? unified?.target : undefined;
}

/**
 * Runs `true` of the host in the sandbox; resolves with what went wrong. Rejects if there is no
 * space to try.
 */
async function selfTest(sandbox: OciSandbox, stateDir: string): Promise<string | undefined> {
  const path = join(privateDir(stateDir), "self-test");
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
    if (isNoSpace(error, stateDir)) throw error;
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
