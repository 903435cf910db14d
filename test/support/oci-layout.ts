/**
 * Base images for tests, made from what the host has: no registry, no engine.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { busyboxRoot } from "../../scripts/lib/oci-layout.mjs";

// The demonstration makes its base image in the same way.
export { busyboxRoot, writeOciLayout } from "../../scripts/lib/oci-layout.mjs";

/**
 * Busybox with all that a runtime or an engine mounts something on, so that no store needs to make
 * it.
 */
export function busyboxWithMountPoints(rootfs: string): void {
  busyboxRoot(rootfs);
  for (const file of ["hosts", "hostname", "resolv.conf"])
    writeFileSync(join(rootfs, "etc", file), "");
}

/** Adds the host's bash, GNU tar and the libraries they need. */
export function addBashAndTar(rootfs: string): void {
  for (const program of ["/bin/bash", "/bin/tar"]) {
    const libraries = execFileSync("ldd", [program], { encoding: "utf8" }).match(/\/\S+/g) ?? [];
    for (const file of [program, ...libraries]) {
      const target = join(rootfs, file);
      mkdirSync(dirname(target), { recursive: true });
      rmSync(target, { force: true });
      copyFileSync(file, target);
    }
  }
}

/** Makes a root in a temporary directory for as long as `use` runs. */
export function withTemporaryRoot<T>(
  fill: (rootfs: string) => void,
  use: (rootfs: string) => T,
): T {
  const rootfs = mkdtempSync(join(tmpdir(), "ocluster-root-"));
  chmodSync(rootfs, 0o755); // It becomes `/`, which all users of an image can enter.
  try {
    fill(rootfs);
    return use(rootfs);
  } finally {
    rmSync(rootfs, { recursive: true, force: true });
  }
}
