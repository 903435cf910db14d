// Makes a small base image without a registry: node scripts/busybox-image.mjs DIR
//
// DIR/busybox becomes an OCI layout with Debian's static busybox in it. A worker with
// --obuilder-image-dir=DIR then knows it as `(from busybox)`.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { busyboxRoot, writeOciLayout } from "./lib/oci-layout.mjs";
import { runScript, SetUpError } from "./lib/process.mjs";

await runScript(() => {
  const [dir] = process.argv.slice(2);
  if (dir === undefined) throw new SetUpError("usage: node scripts/busybox-image.mjs DIR");
  const rootfs = mkdtempSync(join(tmpdir(), "busybox-root-"));
  try {
    busyboxRoot(rootfs);
    writeOciLayout(join(dir, "busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" });
  } finally {
    rmSync(rootfs, { recursive: true });
  }
});
