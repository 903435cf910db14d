/*
 * The configuration of an OCI runtime for one step, as the reference writes it: what a step may do
 * and what it sees decides what it builds, so layers shared with the reference depend on this.
 */

import { join } from "node:path";
import { quoted } from "../../text/index.js";
import type { SandboxStep } from "../contracts.js";
import { BuildError, failure } from "../errors.js";
import { isUnixUser, type UnixUser, type User } from "../spec/spec.js";

/** What a step may use at most; absent: no limit. */
export interface Limits {
  /** Processors, as a number that may be fractional: 1.5 is one and a half processor's time. */
  readonly cpus?: number;
  /** Bytes of memory, swap included. */
  readonly memory?: number;
  /** Processes and threads. */
  readonly pids?: number;
}

export interface ConfigOptions {
  /** Absolute path of the root file system. */
  readonly rootfs: string;
  /**
   * Directory with the files `hosts` and `secret-0`, `secret-1`, …, in the order of the step's
   * secrets.
   */
  readonly configDir: string;
  /**
   * Whether calls that wait for the disk succeed without waiting: after a crash the layer is
   * dropped anyway.
   */
  readonly fastSync: boolean;
  readonly limits: Limits;
  /** As Node names it (`process.arch`). */
  readonly arch: string;
  /** For a runtime that keeps steps away from the host's devices only when it is told to. */
  readonly denyDevices?: boolean;
  /** HOME, for an environment without one (`home.ts`). */
  readonly home?: string | undefined;
}

/** Name of the host in steps. */
export const HOSTNAME = "builder";

/** The content of `/etc/hosts` in steps. */
export const HOSTS = `127.0.0.1 localhost ${HOSTNAME}`;

/** The name of the file that has the value of the secret with this index. */
export function secretFile(index: number): string {
  return `secret-${index}`;
}

// A part of what Docker grants. What needs the network (raw sockets, low ports) is left out: a step
// may have the host's network.
const CAPABILITIES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

const MASKED = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/sys/firmware",
  "/proc/scsi",
];

const READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const SYNC_CALLS = ["fsync", "fdatasync", "msync", "sync", "syncfs", "sync_file_range"];

const SECCOMP_ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  x64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  arm64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
};

/** Length of the scheduler's period in µs, of which `cpus` takes its share. */
const CPU_PERIOD = 100_000;

/**
 * Throws `BuildError` for what no runtime can do: another user than a number, another network than
 * none or the host's.
 */
export function ociConfig(step: SandboxStep, options: ConfigOptions): object {
  const { rootfs, configDir, fastSync, limits, arch, denyDevices = false, home } = options;
  const { uid, gid } = unixUser(step.user);
  const hostNetwork = usesHostNetwork(step.network);
  const environment = home === undefined ? step.env : [...step.env, ["HOME", home] as const];
  return {
    ociVersion: "1.0.1-dev",
    process: {
      terminal: false,
      user: { uid: idNumber(uid), gid: idNumber(gid) },
      args: step.argv,
      env: environment.map(([key, value]) => `${key}=${value}`),
      cwd: step.cwd,
      capabilities: {
        bounding: CAPABILITIES,
        effective: CAPABILITIES,
        inheritable: CAPABILITIES,
        permitted: CAPABILITIES,
      },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: false,
    },
    root: { path: rootfs, readonly: false },
    hostname: HOSTNAME,
    mounts: [
      mount("/proc", "proc", "proc", "nosuid noexec nodev"),
      mount("/dev", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
      mount(
        "/dev/pts",
        "devpts",
        "devpts",
        "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5",
      ),
      mount("/sys", "sysfs", "sysfs", "nosuid noexec nodev ro"),
      mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro nosuid noexec nodev"),
      mount("/dev/shm", "tmpfs", "shm", "nosuid noexec nodev mode=1777 size=65536k"),
      mount("/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev"),
      mount("/etc/hosts", "bind", join(configDir, "hosts"), "ro rbind rprivate"),
      ...(hostNetwork
        ? [mount("/etc/resolv.conf", "bind", "/etc/resolv.conf", "ro rbind rprivate")]
        : []),
      ...step.secrets.map(({ target }, index) =>
        mount(target, "bind", join(configDir, secretFile(index)), "rbind rprivate ro"),
      ),
      ...step.caches.map(({ source, target }) =>
        mount(target, "bind", source, "bind nosuid nodev"),
      ),
    ],
    linux: {
      namespaces: [...(hostNetwork ? [] : ["network"]), "pid", "ipc", "uts", "mount"].map(
        (type) => ({ type }),
      ),
      maskedPaths: MASKED,
      readonlyPaths: READ_ONLY,
      seccomp: seccompProfile(fastSync, arch),
      ...resources(limits, denyDevices),
    },
  };
}

/**
 * Everything is allowed; with `fastSync`, calls that wait for the disk do nothing. `arch` as Node
 * names it.
 */
export function seccompProfile(fastSync: boolean, arch: string = process.arch): object {
  const architectures = SECCOMP_ARCHITECTURES[arch];
  return {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: fastSync ? [{ names: SYNC_CALLS, action: "SCMP_ACT_ERRNO", errnoRet: 0 }] : [],
    ...(architectures ? { architectures } : {}),
  };
}

/**
 * Whether the step has the host's network. Throws `BuildError` if it asks for anything but that or
 * none.
 */
export function usesHostNetwork(network: readonly string[]): boolean {
  if (network.length === 0) return false;
  if (network.length === 1 && network[0] === "host") return true;
  throw unsupportedNetwork(network);
}

export function unsupportedNetwork(network: readonly string[]): BuildError {
  return failure(`Unsupported network configuration [${network.map(quoted).join("; ")}]`);
}

/** Throws `BuildError` for a Windows user. */
export function unixUser(user: User): UnixUser {
  if (isUnixUser(user)) return user;
  throw new BuildError(
    `Cannot run as Windows user ${quoted(user.name)} on Linux; use (uid N) (gid N)`,
  );
}

/**
 * Linux has 32 bits for a user's number, all ones meaning "none". Throws `BuildError` for others.
 */
export function idNumber(id: bigint): number {
  if (id >= 0n && id < 0xffff_ffffn) return Number(id);
  throw new BuildError(`User or group number ${id} is out of range (0 to ${0xffff_fffe})`);
}

export function hasLimits(limits: Limits): boolean {
  return Object.values(limits).some((limit) => limit !== undefined);
}

function resources(limits: Limits, denyDevices: boolean): { resources?: object } {
  if (!hasLimits(limits) && !denyDevices) return {};
  const { cpus, memory, pids } = limits;
  return {
    resources: {
      // All but the harmless ones, such as /dev/null. Steps may make nodes of others.
      ...(denyDevices ? { devices: [{ allow: false, access: "rwm" }] } : {}),
      ...(cpus === undefined
        ? {}
        : { cpu: { quota: Math.round(cpus * CPU_PERIOD), period: CPU_PERIOD } }),
      ...(memory === undefined ? {} : { memory: { limit: memory, swap: memory } }),
      ...(pids === undefined ? {} : { pids: { limit: pids } }),
    },
  };
}

function mount(destination: string, type: string, source: string, options: string): object {
  return { destination, type, source, options: options.split(" ") };
}
