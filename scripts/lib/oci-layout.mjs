// Base images from what the host has, without a registry or an engine.
//
// An image is written as an OCI image layout (opencontainers/image-spec, image-layout.md): one
// uncompressed layer, a configuration with the environment, a manifest, and an index that names it.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * OCI's names of this machine's architecture, by Node's.
 * @type {Readonly<Record<string, string>>}
 */
const ARCHITECTURES = { x64: "amd64" };

/**
 * Writes a new OCI layout.
 * @param {string} layout the directory to make
 * @param {{ rootfs: string, env: readonly string[], tag: string }} image the directory whose
 *   content is the image's root; `K=V` each; what the index calls the image
 *   (`org.opencontainers.image.ref.name`)
 */
export function writeOciLayout(layout, { rootfs, env, tag }) {
  const blobs = join(layout, "blobs", "sha256");
  mkdirSync(blobs, { recursive: true });
  /**
   * @type {(mediaType: string, bytes: Buffer) => { mediaType: string, digest: string, size: number
   *   }}
   */
  const store = (mediaType, bytes) => {
    const hex = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  /** @type {(value: unknown) => Buffer} */
  const json = (value) => Buffer.from(JSON.stringify(value));

  const layer = store("application/vnd.oci.image.layer.v1.tar", tar(rootfs));
  const config = store(
    "application/vnd.oci.image.config.v1+json",
    json({
      architecture: ARCHITECTURES[process.arch] ?? process.arch,
      os: "linux",
      config: { Env: env },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
    }),
  );
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = store(
    manifestType,
    json({ schemaVersion: 2, mediaType: manifestType, config, layers: [layer] }),
  );
  writeFileSync(join(layout, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(
    join(layout, "index.json"),
    json({
      schemaVersion: 2,
      manifests: [{ ...manifest, annotations: { "org.opencontainers.image.ref.name": tag } }],
    }),
  );
}

/**
 * The content of a directory as an archive in which everything belongs to root.
 * @param {string} dir
 */
function tar(dir) {
  return execFileSync(
    "tar",
    ["-C", dir, "--numeric-owner", "--owner=0", "--group=0", "-cf", "-", "."],
    { maxBuffer: 2 ** 30 },
  );
}

/**
 * Fills a directory with Debian's static busybox under every name it answers to.
 * @param {string} rootfs
 */
export function busyboxRoot(rootfs) {
  for (const dir of ["bin", "usr/bin", "etc", "tmp", "root", "proc", "sys", "dev"]) {
    mkdirSync(join(rootfs, dir), { recursive: true });
  }
  // It becomes `/`, which all users of an image can enter, as they can write to its `/tmp`.
  chmodSync(rootfs, 0o755);
  chmodSync(join(rootfs, "tmp"), 0o1777);
  copyFileSync("/bin/busybox", join(rootfs, "bin/busybox"));
  const applets = execFileSync("/bin/busybox", ["--list"], { encoding: "utf8" }).split("\n");
  for (const applet of applets) {
    if (applet !== "" && applet !== "busybox") symlinkSync("busybox", join(rootfs, "bin", applet));
  }
  // `/usr/bin/env` is what the default shell of a spec starts.
  symlinkSync("../../bin/busybox", join(rootfs, "usr/bin/env"));
  writeFileSync(join(rootfs, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(rootfs, "etc/group"), "root:x:0:\n");
}
