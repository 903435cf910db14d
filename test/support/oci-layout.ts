/**
 * Base images for tests, made from what the host has: no registry, no engine.
 *
 * An image is written as an OCI image layout (opencontainers/image-spec, image-layout.md): one uncompressed layer, a
 * configuration with the environment, a manifest, and an index that names it.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** OCI's names of this machine's architecture, by Node's. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

export interface OciImage {
  /** The directory whose content is the image's root. */
  readonly rootfs: string;
  /** `K=V` each. */
  readonly env: readonly string[];
  /** What the index calls the image (`org.opencontainers.image.ref.name`). */
  readonly tag: string;
}

/** Writes `image` as a new OCI layout in the directory `layout`. */
export function writeOciLayout(layout: string, image: OciImage): void {
  const blobs = join(layout, "blobs", "sha256");
  mkdirSync(blobs, { recursive: true });
  const store = (mediaType: string, bytes: Buffer) => {
    const hex = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));

  const tar = execFileSync(
    "tar",
    ["-C", image.rootfs, "--numeric-owner", "--owner=0", "--group=0", "-cf", "-", "."],
    {
      maxBuffer: 1 << 30,
    },
  );
  const layer = store("application/vnd.oci.image.layer.v1.tar", tar);
  const config = store(
    "application/vnd.oci.image.config.v1+json",
    json({
      architecture: ARCHITECTURES[process.arch] ?? process.arch,
      os: "linux",
      config: { Env: image.env },
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
      manifests: [{ ...manifest, annotations: { "org.opencontainers.image.ref.name": image.tag } }],
    }),
  );
}

/** Fills `rootfs` with Debian's static busybox under every name it answers to. */
export function busyboxRoot(rootfs: string): void {
  for (const dir of ["bin", "usr/bin", "etc", "tmp", "root", "proc", "sys", "dev"]) {
    mkdirSync(join(rootfs, dir), { recursive: true });
  }
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
  try {
    fill(rootfs);
    return use(rootfs);
  } finally {
    rmSync(rootfs, { recursive: true, force: true });
  }
}

/** The golden data of the system, which the suite reads by path. */
export function golden(path: string): string {
  return join(import.meta.dirname, "../../../shared/golden", path);
}

/** The golden file at `path`, parsed. */
export function goldenJson(path: string): unknown {
  return JSON.parse(readFileSync(golden(path), "utf8"));
}
