/*
 * Makes a base image of a root file system, without a registry or an engine: an OCI layout with one
 * layer, where a local fetcher finds it (`local-fetcher.ts`).
 *
 * The layout is made beside its place and moved there when it is whole, so an image is there
 * completely or not at all.
 */

import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type ImageName, repositoryAliases } from "../../docker/index.js";
import { endingText, start } from "../../system/index.js";
import { archiveIn } from "../dockerfile/archives.js";
import { BuildError, failure } from "../errors.js";
import { platformArchitecture, REF_NAME, readIndex } from "./oci-layout.js";

export interface ImportOrder {
  /** Absolute: the directory of layouts. */
  readonly imageDir: string;
  /** Without a digest. */
  readonly name: ImageName;
  /** A directory, or an archive of one, compressed or not. */
  readonly source: string;
  /** `K=V` each. */
  readonly env: readonly string[];
}

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const TYPES = "application/vnd.oci.image";

/** What steps find programs with, unless the image says otherwise. */
const USUAL_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Resolves with the image's digest. Throws `BuildError` for a source that is no root, and if
 * another layout has the name.
 */
export async function importImage(order: ImportOrder): Promise<string> {
  const { imageDir, name, env } = order;
  const tag = name.tag ?? "latest";
  const layout = join(imageDir, `${repositoryAliases(name).at(-1)}:${tag}`);
  await refuseHidden(order, tag);
  const made = join(imageDir, `.import-${randomUUID()}`);
  try {
    const blobs = join(made, "blobs", "sha256");
    await mkdir(blobs, { recursive: true });
    const layer = await writeLayer(order, blobs);
    const hasPath = env.some((variable) => variable.startsWith("PATH="));
    const config = await writeJson(blobs, `${TYPES}.config.v1+json`, {
      architecture: platformArchitecture(),
      os: "linux",
      config: { Env: hasPath ? env : [USUAL_PATH, ...env] },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
    });
    const mediaType = `${TYPES}.manifest.v1+json`;
    const content = { schemaVersion: 2, mediaType, config, layers: [layer] };
    const manifest = await writeJson(blobs, mediaType, content);
    await writeFile(join(made, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    const manifests = [{ ...manifest, annotations: { [REF_NAME]: tag } }];
    await writeFile(join(made, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
    await mkdir(dirname(layout), { recursive: true });
    // One of the same name makes way; it is there until then.
    const old = join(imageDir, `.import-${randomUUID()}`);
    const hadOne = await rename(layout, old).then(
      () => true,
      () => false,
    );
    await rename(made, layout);
    if (hadOne) await rm(old, { recursive: true, force: true });
    return manifest.digest;
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

/** Another layout that comes first where images are looked for must not have one of that name. */
async function refuseHidden({ imageDir, name }: ImportOrder, tag: string): Promise<void> {
  for (const repository of repositoryAliases(name)) {
    const path = join(imageDir, repository);
    const manifests = (await readIndex(path))?.manifests ?? [];
    if (!manifests.some(({ annotations }) => annotations?.[REF_NAME] === tag)) continue;
    throw new BuildError(
      `${path} has an image ${tag}, which would hide the new one; remove it, or choose another tag`,
    );
  }
}

/** Writes the root as an archive that is not compressed. */
async function writeLayer({ source }: ImportOrder, blobs: string): Promise<Blob> {
  const path = join(blobs, "layer");
  const hash = createHash("sha256");
  let size = 0;
  const note = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  const argv = await archiver(source);
  if (argv === undefined) {
    await pipeline(createReadStream(source), note, createWriteStream(path));
  } else {
    const child = start(argv, { stdio: ["ignore", "pipe", "inherit"] });
    if (child.process.pid === undefined) await child.ended;
    await pipeline(child.process.stdout!, note, createWriteStream(path));
    const ending = await child.ended;
    if (ending.status !== 0) throw failure(endingText(argv, ending));
  }
  const hex = hash.digest("hex");
  await rename(path, join(blobs, hex));
  return { mediaType: `${TYPES}.layer.v1.tar`, digest: `sha256:${hex}`, size };
}

/** What prints the root as an archive; undefined for a file that is one as it is. */
async function archiver(source: string): Promise<string[] | undefined> {
  if ((await stat(source)).isDirectory()) {
    const all = ["--numeric-owner", "--xattrs", "--xattrs-include=*"];
    return ["tar", "-C", source, ...all, "-cf", "-", "."];
  }
  const option = archiveIn(source);
  if (option === false) {
    throw new BuildError(
      `${source} is no archive of a root file system, as docker export or tar -C ROOT -c . make it`,
    );
  }
  const programs = { "-z": "gzip", "-j": "bzip2", "-J": "xz", "--zstd": "zstd" } as const;
  return option === "" ? undefined : [programs[option], "-dc", source];
}

async function writeJson(blobs: string, mediaType: string, content: object): Promise<Blob> {
  const bytes = Buffer.from(JSON.stringify(content));
  const hex = createHash("sha256").update(bytes).digest("hex");
  await writeFile(join(blobs, hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}
