/** Build contexts made of texts, and sent as a client would. */
import { createHash } from "node:crypto";
import { ContextManifest, ContextStore } from "../../src/api/index.js";
import type { Capability } from "../../src/rpc/index.js";

export function sha256(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Names, and what is in them; all at the top. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

export function manifestOf(files: Files): Buffer {
  const names = Object.keys(files).sort();
  return ContextManifest.writeManifest(
    names.map((path) => {
      const data = Buffer.from(files[path]!);
      const size = data.length;
      return { type: "file", path, mode: 0o644, mtime: 1, size, sha256: sha256(data) };
    }),
  );
}

/** Sends all that there is, small as it is; resolves to the manifest's hash. */
export async function sendFiles(submission: Capability, files: Files): Promise<string> {
  const manifest = manifestOf(files);
  const blobs = Object.values(files).map((data) => Buffer.from(data));
  await ContextStore.put(submission, [...blobs, manifest]);
  const missing = await ContextStore.keep(submission, sha256(manifest));
  if (missing.length > 0) throw new Error(`It lacks ${missing}`);
  return sha256(manifest);
}
