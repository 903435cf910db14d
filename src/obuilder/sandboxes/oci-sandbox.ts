/*
 * Runs steps by an OCI runtime, runc or crun, on a layer's root file system.
 *
 * A step has a process id namespace of its own. When its first process ends, for whatever reason,
 * the kernel kills all others in it, daemons too, before the runtime learns of the end; so when the
 * runtime has gone, nothing of the step is left.
 */

import { randomUUID } from "node:crypto";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { aborted } from "../../async/index.js";
import {
  endingText,
  mountEnv,
  ownMountsMade,
  PipePool,
  run,
  start,
  withOwnMounts,
} from "../../system/index.js";
import type { LayerDir, Sandbox, SandboxIo, SandboxStep } from "../contracts.js";
import { BuildCancelled, BuildError } from "../errors.js";
import { emptyDir } from "../stores/files.js";
import { missingHome } from "./home.js";
import { LocalRoot } from "./local-root.js";
import { makeMountPoints } from "./mount-points.js";
import {
  type ConfigOptions,
  HOSTS,
  hasLimits,
  type Limits,
  ociConfig,
  secretFile,
} from "./oci-config.js";
import type { SharedCgroup } from "./shared-cgroup.js";
import { isBrokenPipe, send } from "./standard-input.js";
import { checkStepText } from "./step-text.js";

export type RuntimeName = "runc" | "crun";

export interface OciSandboxOptions {
  readonly runtime: RuntimeName;
  /** The store's directory for state. */
  readonly stateDir: string;
  /** Whether calls that wait for the disk return at once. */
  readonly fastSync?: boolean;
  readonly limits?: Limits;
  /** A mount that the runtime must not see, or it refuses to work (`choose-runtime.ts`). */
  readonly hiddenMount?: string | undefined;
  /**
   * Whether this process itself may not open devices, so that steps need nothing to keep them away
   * from these.
   */
  readonly devicesDenied?: boolean;
  /**
   * Keeps steps away from devices, unless they have cgroups of their own that do. The sandbox
   * removes it at last.
   */
  readonly devicesCgroup?: SharedCgroup | undefined;
  /**
   * Bounds the processes of all steps together, unless they have cgroups of their own. The sandbox
   * removes it at last.
   */
  readonly pidsCgroup?: SharedCgroup | undefined;
  /** The processes that a step in a cgroup of its own may have, unless `limits` say. */
  readonly mostPids?: number | undefined;
}

/** What runs commands if the spec does not say. */
export const DEFAULT_SHELL: readonly string[] = ["/usr/bin/env", "bash", "-c"];

/** What unpacks archives. */
export const UNPACK: readonly string[] = ["tar", "-xf", "-"];

/**
 * How long to wait before telling a step again to stop, in ms. It cannot be told while it is being
 * set up.
 */
const KILL_RETRY = 50;
const KILL_RETRY_MAX = 2000;

export class OciSandbox implements Sandbox {
  readonly shell = DEFAULT_SHELL;
  readonly tar = UNPACK;

  readonly #options: OciSandboxOptions;
  readonly #runtime: readonly string[];
  readonly #pipes: PipePool;
  /** Cgroups are named after steps, and others on this machine may make some in the same place. */
  readonly #name = `obuilder-${randomUUID()}`;
  #nextId = 0;

  constructor(options: OciSandboxOptions) {
    this.#options = options;
    this.#runtime = runtimeCommand(options.runtime, options.stateDir);
    this.#pipes = new PipePool(privateDir(options.stateDir));
  }

  async run(step: SandboxStep, layer: LayerDir, io: SandboxIo): Promise<void> {
    checkStepText(step);
    const id = `${this.#name}-${this.#nextId++}`;
    const configDir = join(privateDir(this.#options.stateDir), id);
    try {
      const command = this.#command(id, configDir);
      const { hiddenMount } = this.#options;
      const cgroups = this.#hasCgroups ? [] : this.#sharedCgroups.map(({ threads }) => threads);
      const { overlay } = layer;
      const ownMounts = (overlay ?? hiddenMount ?? cgroups[0]) !== undefined;
      const rootfs = join(layer.path, "rootfs");
      // `root` is the path by which we see the root that the step will have.
      const prepare = async (root: string) => {
        const mounted = await makeMountPoints(root, step);
        const home = this.#options.runtime === "crun" ? missingHome(root, step) : undefined;
        this.#writeConfig(mounted, { rootfs, configDir, home });
        return await io.input?.(new LocalRoot(root));
      };
      const input = ownMounts ? undefined : await prepare(rootfs);
      await this.#pipes.use(async (output) => {
        const argv = ownMounts
          ? withOwnMounts(command, { overlay, unmount: hiddenMount, cgroups })
          : command;
        const child = start(argv, {
          stdio: [io.input ? "pipe" : "ignore", output.writer, output.writer, "pipe"],
          env: mountEnv(),
        });
        output.started();
        if (child.process.pid === undefined) await child.ended; // it was not started; the reason comes
        const prepared = ownMounts
          ? ownMountsMade(child.process.pid!, child.process.stdio[3] as Socket, (root) =>
              prepare(join(root, rootfs)),
            )
          : Promise.resolve(input);
        prepared.catch(() => {}); // to be awaited when the process has ended
        // Told to stop by the user, or because there is no room for the log.
        const stop = new AbortController();
        const signal = AbortSignal.any([io.signal, stop.signal]);
        const killed = this.#killWhenAborted(id, signal, child.ended);
        const sent = prepared.then(
          (write) => write && send(write, child.process.stdin!),
          () => undefined,
        );
        const [logged, ending] = await Promise.all([
          pump(output.reader, io).catch((error: unknown) => {
            stop.abort();
            output.reader.resume(); // or the runtime would wait for its output to be read
            return { error };
          }),
          child.ended,
        ]);
        await killed;
        if (ending.signal) await this.#runtimeCommandQuietly("delete", "--force", id);
        if (io.signal.aborted) throw new BuildCancelled();
        if (logged) throw logged.error;
        await prepared;
        // If the reader of the archive failed, that is why writing it failed.
        const sendError = await sent;
        if (sendError && !isBrokenPipe(sendError)) throw sendError;
        if (ending.status !== 0) throw new BuildError(endingText(step.argv, ending));
        if (sendError) throw sendError;
      });
    } finally {
      await rm(configDir, { recursive: true, force: true });
    }
  }

  close(): void {
    this.#pipes.close();
    for (const cgroup of this.#sharedCgroups) cgroup.remove();
  }

  get #sharedCgroups(): SharedCgroup[] {
    const { devicesCgroup, pidsCgroup } = this.#options;
    return [devicesCgroup, pidsCgroup].filter((cgroup) => cgroup !== undefined);
  }

  /** Small files in a fresh directory: not worth a thread. */
  #writeConfig(
    step: SandboxStep,
    { rootfs, configDir, home }: Pick<ConfigOptions, "rootfs" | "configDir" | "home">,
  ): void {
    const { fastSync = false, limits = {}, mostPids } = this.#options;
    const bounded = this.#hasCgroups && mostPids !== undefined;
    const config = ociConfig(step, {
      rootfs,
      configDir,
      fastSync,
      limits: bounded ? { pids: mostPids, ...limits } : limits,
      arch: process.arch,
      home,
      denyDevices: this.#options.runtime === "crun" && this.#hasCgroups,
    });
    mkdirSync(configDir, { mode: 0o700 });
    writeFileSync(join(configDir, "config.json"), `${JSON.stringify(config)}\n`);
    // Any user of the step may read these; on the host, the directory keeps others out.
    const readable = (name: string, content: string | Uint8Array) => {
      const path = join(configDir, name);
      writeFileSync(path, content);
      chmodSync(path, 0o644);
    };
    readable("hosts", HOSTS);
    for (const [index, { value }] of step.secrets.entries()) readable(secretFile(index), value);
  }

  /**
   * Whether the runtime makes cgroups for each step. Where they would serve for nothing crun can do
   * without, which is faster.
   */
  get #hasCgroups(): boolean {
    const { devicesCgroup, devicesDenied = false, limits = {}, runtime } = this.#options;
    const serve = hasLimits(limits) || !(devicesDenied || devicesCgroup);
    return runtime === "runc" || serve;
  }

  #command(id: string, configDir: string): string[] {
    const manager = this.#hasCgroups ? [] : ["--cgroup-manager=disabled"];
    return [...this.#runtime, ...manager, "run", "--bundle", configDir, id];
  }

  /** Kills the step, again and again until it has ended, once the signal is aborted. */
  async #killWhenAborted(id: string, signal: AbortSignal, ended: Promise<unknown>): Promise<void> {
    const over = new AbortController();
    const end = ended.then(
      () => over.abort(),
      () => over.abort(),
    );
    await Promise.race([end, aborted(signal, over.signal)]);
    for (let wait = KILL_RETRY; !over.signal.aborted; wait = Math.min(2 * wait, KILL_RETRY_MAX)) {
      await this.#runtimeCommandQuietly("kill", id, "KILL");
      await delay(wait, undefined, { signal: over.signal }).catch(() => {});
    }
  }

  /** The step may not be there yet, or not any more; both is fine. */
  async #runtimeCommandQuietly(...args: string[]): Promise<void> {
    await run([...this.#runtime, ...args]).catch(() => {});
  }
}

/**
 * Ends all steps that a killed process of ours left running, and removes what it left in the state
 * directory. To be done before the store is opened: their mounts and files are in use until then.
 */
export async function reapSteps(stateDir: string): Promise<void> {
  await killProcessesWith(`${privateDir(stateDir)}/`);
  for (const runtime of ["runc", "crun"] as const) {
    const containers = runtimeStateDir(runtime, stateDir);
    await mkdir(containers, { recursive: true });
    for (const id of await readdir(containers)) {
      await run([...runtimeCommand(runtime, stateDir), "delete", "--force", id]);
      await rm(join(containers, id), { recursive: true, force: true });
    }
  }
  // It stays: on a full disk it could not be made again.
  await mkdir(privateDir(stateDir), { recursive: true, mode: 0o700 });
  await emptyDir(privateDir(stateDir));
}

/**
 * Kills runtimes of ours, which may still be setting a step up. They have an argument that begins
 * like that.
 */
async function killProcessesWith(argument: string): Promise<void> {
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const cmdline = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
    if (!cmdline.split("\0").some((word) => word.startsWith(argument))) continue;
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

function runtimeCommand(runtime: RuntimeName, stateDir: string): string[] {
  return [runtime, "--root", runtimeStateDir(runtime, stateDir)];
}

/** Each runtime has its own: neither understands, nor can remove, what the other left. */
function runtimeStateDir(runtime: RuntimeName, stateDir: string): string {
  return join(stateDir, runtime === "runc" ? "sandbox" : "sandbox-crun");
}

/** Where the files of running steps are, secrets too. */
export function privateDir(stateDir: string): string {
  return join(stateDir, "private");
}

async function pump(output: Readable, io: SandboxIo): Promise<void> {
  for await (const chunk of output.iterator({ destroyOnReturn: false })) {
    await io.log.write(chunk as Buffer);
  }
}
