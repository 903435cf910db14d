/*
 * OCI layouts piece by piece: several layers, several platforms, and things that no honest tool
 * writes.
 */

import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { END_OF_ARCHIVE, padding, tarHeader } from "../../src/system/tar-header.js";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** An entry of a layer: a directory (name with a slash at its end), a file, or a link. */
export type LayerEntry =
  | { readonly name: string; readonly content?: string }
  | { readonly name: string; readonly target: string };

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";

export class ImageWriter {
  /** Makes an empty layout. */
  constructor(readonly layout: string) {
    mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
    this.#write("oci-layout", { imageLayoutVersion: "1.0.0" });
  }

  blobPath({ digest }: Pick<Descriptor, "digest">): string {
    return join(this.layout, "blobs", digest.replace(":", "/"));
  }

  blob(mediaType: string, content: Buffer | object): Descriptor {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    writeFileSync(this.blobPath({ digest }), bytes);
    return { mediaType, digest, size: bytes.length };
  }

  layer(entries: readonly LayerEntry[]): Descriptor {
    const blocks = entries.flatMap((entry) => {
      const content = Buffer.from(("content" in entry && entry.content) || "");
      const target = Buffer.from("target" in entry ? entry.target : "");
      const type = entry.name.endsWith("/") ? "dir" : target.length > 0 ? "symlink" : "file";
      const name = Buffer.from(entry.name);
      const size = content.length;
      const header = {
        type,
        name,
        target,
        size,
        mode: 0o755,
        uid: 0n,
        gid: 0n,
        mtime: 1e9,
      } as const;
      return [tarHeader(header), content, padding(size)];
    });
    const bytes = Buffer.concat([...blocks, END_OF_ARCHIVE]);
    return this.blob("application/vnd.oci.image.layer.v1.tar", bytes);
  }

  image(
    layers: readonly Descriptor[],
    env: readonly string[] = [],
    architecture = "amd64",
  ): Descriptor {
    const config = this.blob("application/vnd.oci.image.config.v1+json", {
      architecture,
      os: "linux",
      config: { Env: env },
      rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
    });
    const manifest = { schemaVersion: 2, mediaType: MANIFEST, config, layers };
    return { ...this.blob(MANIFEST, manifest), platform: { os: "linux", architecture } };
  }

  /** One image for each platform. */
  multiPlatform(images: readonly Descriptor[]): Descriptor {
    return this.blob(INDEX, { schemaVersion: 2, mediaType: INDEX, manifests: images });
  }

  /** Names the images. */
  finish(images: Readonly<Record<string, Descriptor>>): void {
    const manifests = Object.entries(images).map(([name, image]) => ({
      ...image,
      annotations: { "org.opencontainers.image.ref.name": name },
    }));
    this.#write("index.json", { schemaVersion: 2, manifests });
  }

  #write(name: string, content: object): void {
    writeFileSync(join(this.layout, name), JSON.stringify(content));
  }
}
