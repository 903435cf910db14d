/*
 * Mounts: those of one step, which only its processes see, and those that this process needs
 * itself.
 */

import { readFile } from "node:fs/promises";
import type { Duplex } from "node:stream";
import { kernelAtLeast } from "./kernel.js";
import { ProgramError, run } from "./process.js";

/** An overlay file system to be mounted: `cd cwd && mount -t overlay -o options overlay target`. */
export interface OverlayMount {
  /** What relative paths in `options` are relative to. */
  readonly cwd: string;
  readonly options: string;
  /** Absolute. */
  readonly target: string;
}

/**
 * Newer versions of mount(8) would use an interface that takes no more than 256 bytes of options
 * each.
 */
const MOUNT_ENV = { ...process.env, LIBMOUNT_FORCE_MOUNT2: "always" };

/**
 * An option of writable overlays: without it, unmounting one waits until all that any program has
 * written to the disk below is on it. Half-made layers are thrown away after a crash anyway.
 */
export const VOLATILE = kernelAtLeast(5, 10) ? "volatile" : "rw";

// Arguments: a number of files of threads, and these; what to unmount ("" for nothing), then a
// directory ("" for no overlay), options and target, then the command, which does not get file
// descriptor 3. 0 is the thread that writes: if it moves itself, and as a thread, not a process,
// the kernel need not wait until all processors have taken notice, ten milliseconds or more.
const PREPARE = `
cgroups=$1
shift
while [ "$cgroups" -gt 0 ]; do
  echo 0 2>&3 >"$1" || exit
  shift
  cgroups=$((cgroups - 1))
done
unmount=$1 cwd=$2 options=$3 target=$4
shift 4
if [ "$unmount" ]; then umount -i -n "$unmount" 2>&3 || exit; fi
if [ "$cwd" ]; then
  cd "$cwd" 2>&3 && mount -i -n -t overlay -o "$options" overlay "$target" 2>&3 || exit
fi
echo >&3 && read -r go <&3 || exit
exec "$@" 3>&-
`;

/** What to change in the mounts that a command sees. */
export interface OwnMounts {
  /**
   * Besides, the files of threads of the cgroups that the command is to be in, with all that it
   * starts.
   */
  readonly cgroups?: readonly string[];
  readonly overlay?: OverlayMount | undefined;
  /** A mount point to be freed. */
  readonly unmount?: string | undefined;
}

/**
 * A command line that runs `argv` with mounts of its own, which end with its last process. Needs a
 * socket as file descriptor 3, for `ownMountsMade`.
 */
export function withOwnMounts(
  argv: readonly string[],
  { cgroups = [], overlay, unmount }: OwnMounts,
): string[] {
  // Unmounting by others must take effect here too, else this would pin what they unmount.
  const unshare = ["unshare", "--mount", "--propagation", "slave", "--"];
  const changes = [unmount, overlay?.cwd, overlay?.options, overlay?.target];
  const prepare = ["sh", "-c", PREPARE, "sh", String(cgroups.length), ...cgroups];
  return [...unshare, ...prepare, ...changes.map((text) => text ?? ""), ...argv];
}

/**
 * Waits until the mounts of a process with `withOwnMounts` are made, calls `prepare` with the path
 * by which we can see them, lets the command begin, and resolves with what `prepare` does. Throws
 * `ProgramError` if they could not be made, and what `prepare` does; the process then ends.
 */
export async function ownMountsMade<T>(
  pid: number,
  socket: Duplex,
  prepare: (root: string) => Promise<T>,
): Promise<T> {
  let said = "";
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      said += String(chunk);
      if (said !== "\n") continue;
      const prepared = await prepare(`/proc/${pid}/root`);
      socket.write("go\n");
      return prepared;
    }
    throw new ProgramError(`Cannot set up the root: ${said.trim()}`, undefined, "");
  } finally {
    socket.end().resume(); // it waits no longer than that
  }
}

/** The environment for commands of `withOwnMounts`. */
export function mountEnv(): NodeJS.ProcessEnv {
  return MOUNT_ENV;
}

/** Mounts an overlay for all to see. */
export async function mountOverlay({ cwd, options, target }: OverlayMount): Promise<void> {
  const argv = ["mount", "-i", "-n", "-t", "overlay", "-o", options, "overlay", target];
  await run(argv, { cwd, env: MOUNT_ENV });
}

export async function unmount(target: string): Promise<void> {
  await run(["umount", "-i", "-n", "--", target]);
}

/** Unmounts the overlays below a directory, which a killed process has left. */
export async function unmountBelow(dir: string): Promise<void> {
  for (const { target, type } of (await listMounts()).reverse()) {
    if (type === "overlay" && target.startsWith(`${dir}/`)) await unmount(target);
  }
}

/** One line of `/proc/self/mountinfo`. */
export interface MountInfo {
  /** What of the file system is mounted, `/` for all. */
  readonly root: string;
  readonly target: string;
  readonly type: string;
  /** Those of the file system, separated by commas. */
  readonly options: string;
}

/** All mounts this process sees, in the order they were made. */
export async function listMounts(): Promise<MountInfo[]> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).trimEnd().split("\n");
  return lines.map((line) => {
    const fields = line.split(" ");
    const [type = "", , options = ""] = fields.slice(fields.indexOf("-") + 1);
    const [root = "", target = ""] = fields.slice(3).map(unescapeOctal);
    return { root, target, type, options };
  });
}

/** The kernel writes white space and backslashes in paths as `\\040`. */
function unescapeOctal(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
