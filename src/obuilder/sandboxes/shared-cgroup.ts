/*
 * Cgroups that all steps of a builder are in together, where cgroups are v1: one keeps them from
 * opening the host's devices, which as root they may make nodes of, one from having more processes
 * than the machine can bear.
 *
 * A runtime would do the same with cgroups for each step, which takes it half of the time of a
 * short step, for it makes one in each of a dozen hierarchies. With v2 there is but one, and rules
 * for devices are programs for the kernel; there it is left to the runtime.
 */

import { mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listMounts } from "../../system/index.js";

type Controller = "devices" | "pids";

/** A file of a cgroup, and what to write into it. */
type Setting = readonly [file: string, value: string];

/**
 * As containers have it: nodes of all, and use of null, zero, full, random, urandom, tty, console,
 * ptmx and pts.
 */
const HARMLESS_DEVICES: readonly Setting[] = [
  ["devices.deny", "a"],
  ...[
    "c *:* m",
    "b *:* m",
    ...["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2", "136:*"].map((id) => `c ${id} rwm`),
  ].map((rule) => ["devices.allow", rule] as const),
];

export class SharedCgroup {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Those in it open harmless devices only. Undefined where there can be none, as with `make`. */
  static forDevices(stateDir: string): Promise<SharedCgroup | undefined> {
    return SharedCgroup.#make("devices", stateDir, HARMLESS_DEVICES);
  }

  /**
   * Those in it have no more processes and threads than that, all together. Undefined where there
   * can be none.
   */
  static forPids(stateDir: string, most: number): Promise<SharedCgroup | undefined> {
    return SharedCgroup.#make("pids", stateDir, [["pids.max", String(most)]]);
  }

  /**
   * Makes the cgroup of a store, which is known by its directory for state, or takes the one that a
   * killed process left. Undefined where that cannot be: with cgroups v2, and where this process
   * may not make any.
   */
  static async #make(
    controller: Controller,
    stateDir: string,
    settings: readonly Setting[],
  ): Promise<SharedCgroup | undefined> {
    const own = await ownCgroup(controller);
    if (own === undefined) return undefined;
    const { dev, ino } = statSync(stateDir);
    const cgroup = new SharedCgroup(join(own, `obuilder-${dev}-${ino}`));
    try {
      mkdirSync(cgroup.#path, { recursive: true });
      // To fail, rather than to make a file, where the kernel has none of that name.
      for (const [file, value] of settings) {
        writeFileSync(join(cgroup.#path, file), value, { flag: "r+" });
      }
      return cgroup;
    } catch {
      cgroup.remove();
      return undefined;
    }
  }

  /** The file in which the kernel has the threads in the cgroup; what these start is in it, too. */
  get threads(): string {
    return join(this.#path, "tasks");
  }

  /** To be called when no step runs any more. */
  remove(): void {
    try {
      rmdirSync(this.#path);
    } catch {
      // Never made, or a process is in it still; then the store's next builder takes it over.
    }
  }
}

/**
 * The directory of the cgroup that this process is in, of those of a controller with v1; undefined
 * if it cannot be seen.
 */
async function ownCgroup(controller: Controller): Promise<string | undefined> {
  const mounts = await listMounts();
  const mount = mounts.find(
    ({ type, options }) => type === "cgroup" && options.split(",").includes(controller),
  );
  const line = new RegExp(`^\\d+:(?:\\w+,)*${controller}(?:,\\w+)*:(/.*)$`, "m");
  const [, own] = line.exec(readFileSync("/proc/self/cgroup", "utf8")) ?? [];
  if (mount === undefined || own === undefined) return undefined;
  // In a container, a part of the hierarchy may be mounted.
  const root = mount.root.replace(/\/$/, "");
  if (own !== root && !own.startsWith(`${root}/`)) return undefined;
  return join(mount.target, own.slice(root.length));
}

/**
 * Half of the processes and threads that the machine can have: the other half is for the others on
 * it. Undefined if the kernel does not say.
 */
export function mostPids(): number | undefined {
  try {
    const limits = ["pid_max", "threads-max"].map((name) =>
      Number(readFileSync(join("/proc/sys/kernel", name), "utf8")),
    );
    return Math.floor(Math.min(...limits) / 2);
  } catch {
    return undefined;
  }
}
