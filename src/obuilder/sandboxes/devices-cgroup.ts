/*
 * Keeps the steps of a builder from opening the host's devices: as root they may make nodes of any, but in this cgroup the
 * kernel opens the harmless ones only. A runtime would do the same with a cgroup for each step, which takes it half of the
 * time of a short step where cgroups are v1, for it makes one in each of a dozen hierarchies. With v2 there is but one,
 * and rules for devices are programs for the kernel, which are left to the runtime.
 */

import { mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listMounts } from "../mounts.js";

/** As containers have it: nodes of all, and use of null, zero, full, random, urandom, tty, console, ptmx and pts. */
const ALLOWED = [
  "c *:* m",
  "b *:* m",
  ...["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2", "136:*"].map((id) => `c ${id} rwm`),
];

export class DevicesCgroup {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Makes the cgroup of a store, which is known by its directory for state, or takes the one that a killed process left.
   * Undefined where that cannot be: with cgroups v2, and where this process may not make any.
   */
  static async make(stateDir: string): Promise<DevicesCgroup | undefined> {
    const own = await ownDevicesCgroup();
    if (own === undefined) return undefined;
    const { dev, ino } = statSync(stateDir);
    const cgroup = new DevicesCgroup(join(own, `obuilder-${dev}-${ino}`));
    try {
      mkdirSync(cgroup.#path, { recursive: true });
      cgroup.#set("devices.deny", "a");
      for (const rule of ALLOWED) cgroup.#set("devices.allow", rule);
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

  /** Fails, rather than making a file, where the kernel has none of that name. */
  #set(file: string, value: string): void {
    writeFileSync(join(this.#path, file), value, { flag: "r+" });
  }
}

/** The directory of the cgroup, of those for devices, that this process is in; undefined if it cannot be seen. */
async function ownDevicesCgroup(): Promise<string | undefined> {
  const mounts = await listMounts();
  const mount = mounts.find(
    ({ type, options }) => type === "cgroup" && options.split(",").includes("devices"),
  );
  const [, own] =
    /^\d+:(?:\w+,)*devices(?:,\w+)*:(\/.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8")) ?? [];
  if (mount === undefined || own === undefined) return undefined;
  // In a container, a part of the hierarchy may be mounted.
  const root = mount.root.replace(/\/$/, "");
  if (own !== root && !own.startsWith(`${root}/`)) return undefined;
  return join(mount.target, own.slice(root.length));
}
