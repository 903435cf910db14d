// The Debian packages that the demo and the tests need, and how they get onto the machine.

import { isAccessible, outputOf, SetUpError, succeedsQuietly, which } from "./process.mjs";

/**
 * A thing that must be there, and the packages that bring it. It is the thing that is looked for,
 * not the packages: a machine may have it from elsewhere (Docker's own packages, a local build),
 * and these must not be replaced.
 * @typedef {{ found: () => boolean, packages: string[] }} Need
 */

/** @type {(name: string, ...packages: string[]) => Need} */
const program = (name, ...packages) => ({
  found: () => which(name) !== undefined,
  packages: packages.length > 0 ? packages : [name],
});

/** @type {(path: string, ...packages: string[]) => Need} */
const file = (path, ...packages) => ({ found: () => isAccessible(path), packages });

/**
 * The plain busybox package has the same program, linked dynamically: of no use in an empty root.
 * @type {Need}
 */
const staticBusybox = {
  found: () => /^Status: .* installed$/m.test(outputOf("dpkg", ["-s", "busybox-static"])),
  packages: ["busybox-static"],
};

/** @type {Need[]} */
const DEMO = [program("runc"), program("umoci"), staticBusybox];

/** @type {Need[]} */
const COMPILER = [program("python3"), program("make"), program("g++")];

/** @type {Need[]} */
const TEST = [
  ...DEMO,
  ...COMPILER,
  program("dockerd", "docker.io"),
  // A separate package since Debian 13. By path: other clients may come first in PATH, and know
  // less.
  file("/usr/bin/docker", "docker.io", "docker-cli"),
  program("docker-registry"),
  program("crun"),
  program("skopeo"),
  program("mkfs.btrfs", "btrfs-progs"),
  program("mkfs.xfs", "xfsprogs"),
  program("rsync"),
  program("git"),
  program("curl"),
  program("openssl"),
  program("sqlite3"),
  program("tmux"),
  program("zsh"),
  program("fish"),
  file("/usr/bin/chromium", "chromium"),
  program("capnp", "capnproto"),
  file("/usr/include/capnp/rpc.h", "libcapnp-dev"),
];

/**
 * A real object store, for long runs alone: these are some 300 MB.
 * @type {Need[]}
 */
const OBJECT_STORE = [program("radosgw"), program("ceph-mon"), program("ceph-osd")];

const NEEDS = {
  demo: DEMO,
  test: TEST,
  compiler: COMPILER,
  copying: [program("rsync")],
  objectStore: OBJECT_STORE,
};

/** @typedef {keyof typeof NEEDS} Purpose */

/**
 * Makes sure that everything for `purpose` is there. As root, installs what is missing; otherwise
 * throws a `SetUpError` with the command that does.
 * @param {Purpose} purpose
 */
export function ensurePackages(purpose) {
  const missing = NEEDS[purpose].filter((need) => !need.found());
  if (missing.length === 0) return;
  const wanted = [...new Set(missing.flatMap((need) => need.packages))];
  if (!which("apt-get")) {
    throw new SetUpError(
      `Needed: ${wanted.join(", ")} (names of Debian packages). Please install them.`,
    );
  }
  if (process.getuid?.() !== 0) {
    throw new SetUpError(
      "Some system packages are missing. Please run this once, then try again:\n\n" +
        `  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${wanted.join(" ")}\n`,
    );
  }
  console.error(`Installing Debian packages: ${wanted.join(" ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  succeedsQuietly("apt-get", ["update"], env);
  const known = wanted.filter(isKnown);
  const ok =
    known.length > 0 &&
    succeedsQuietly("apt-get", ["install", "-y", "--no-install-recommends", ...known], env);
  const still = missing.filter((need) => !need.found()).flatMap((need) => need.packages);
  if (!ok || still.length > 0) {
    throw new SetUpError(`These Debian packages could not be installed: ${still.join(" ")}`);
  }
}

/**
 * Whether this release of Debian has the package: names come and go between releases.
 * @param {string} name
 */
function isKnown(name) {
  return /Candidate: (?!\(none\))/.test(outputOf("apt-cache", ["policy", name]));
}
