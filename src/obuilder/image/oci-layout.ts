/*
 * Images in OCI layouts: directories with `index.json` and `blobs/`
 * (https://github.com/opencontainers/image-spec).
 *
 * Manifests are read here, checked against their digests; layers are unpacked by umoci, which
 * checks them, too, applies what they remove, and lets none write outside of the root.
 */

import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../system/index.js";
import { BuildError } from "../errors.js";
import type { Env, KeyValue } from "../spec/spec.js";
import { type ImageFacts, type RunConfig, settingsIn } from "./image-facts.js";
import { parseVariable } from "./variables.js";

/** A reference to a blob. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:…` */
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: {
    readonly os: string;
    readonly architecture: string;
    readonly variant?: string;
  };
}

interface Index {
  readonly manifests: readonly Descriptor[];
}

interface ImageManifest {
  readonly config: Descriptor;
  /** The lowest first. */
  readonly layers: readonly Descriptor[];
}

interface ImageConfig {
  readonly config?: RunConfig;
}

const INDEX_TYPES: readonly string[] = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];

export const REF_NAME = "org.opencontainers.image.ref.name";

/** As image indexes name processors (Go's names). */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: "amd64",
  ia32: "386",
  ppc64: "ppc64le",
};

/** This machine, as image indexes name it. */
export function platformArchitecture(): string {
  return ARCHITECTURES[process.arch] ?? process.arch;
}

/** The layout's top index; undefined if the directory is no layout. */
export async function readIndex(layout: string): Promise<Index | undefined> {
  const path = join(layout, "index.json");
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const index = parseJson<Index>(text, path);
  if (!Array.isArray(index.manifests)) throw new BuildError(`${path} has no list of manifests`);
  return index;
}

export interface UnpackOptions {
  /** For small files. */
  readonly tmp: string;
  readonly signal: AbortSignal;
}

/** Unpacks the image into the empty directory `rootfs`; resolves with its variables. */
export async function unpackImage(
  layout: string,
  image: Descriptor,
  rootfs: string,
  options: UnpackOptions,
): Promise<Env> {
  return variablesIn(await unpackRoot(layout, image, rootfs, options));
}

/** The same without unpacking. */
export async function imageVariables(layout: string, image: Descriptor): Promise<Env> {
  return variablesIn((await readImage(layout, image)).config);
}

/** What is known of the image without unpacking it. */
export async function imageFacts(layout: string, image: Descriptor): Promise<ImageFacts> {
  const { config, layers } = await readImage(layout, image);
  const [passwd, group] = await Promise.all(
    ["etc/passwd", "etc/group"].map((path) => fileIn(layout, layers, path)),
  );
  return {
    env: variablesIn(config),
    ...settingsIn(config.config ?? {}),
    accounts: { passwd: passwd!, group: group! },
  };
}

/** A small text file of an image; empty if there is none. */
async function fileIn(
  layout: string,
  layers: readonly Descriptor[],
  path: string,
): Promise<string> {
  for (const { digest } of layers.toReversed()) {
    const blob = join(layout, "blobs", digest.replace(":", "/"));
    for (const name of [path, `./${path}`]) {
      // The status is that of `head`: a file that is not there is empty.
      const script = 'tar -xOf "$1" "$2" 2> /dev/null | head -c 1000000';
      const text = await run(["sh", "-c", script, "sh", blob, name]);
      if (text !== "") return text;
    }
  }
  return "";
}

function variablesIn({ config }: ImageConfig): Env {
  return (config?.Env ?? []).map((variable): KeyValue => parseVariable(variable));
}

/** The same, whatever its variables are. */
export async function unpackRoot(
  layout: string,
  image: Descriptor,
  rootfs: string,
  { tmp, signal }: UnpackOptions,
): Promise<ImageConfig> {
  const { descriptor, config } = await readImage(layout, image);
  const view = await mkdtemp(join(tmp, "image-"));
  try {
    await singleImageLayout(layout, descriptor, view);
    await run(["umoci", "raw", "unpack", "--image", `${view}:image`, rootfs], { signal });
  } finally {
    await rm(view, { recursive: true, force: true });
  }
  return config;
}

/** The image for this machine, and its configuration. */
async function readImage(
  layout: string,
  image: Descriptor,
): Promise<{
  descriptor: Descriptor;
  config: ImageConfig;
  layers: readonly Descriptor[];
}> {
  const descriptor = await forThisPlatform(layout, image);
  const manifest = parseJson<ImageManifest>(await readBlob(layout, descriptor), descriptor.digest);
  const config = await readBlob(layout, manifest.config);
  const { layers } = manifest;
  return { descriptor, layers, config: parseJson<ImageConfig>(config, manifest.config.digest) };
}

/**
 * A layout that borrows the other's blobs and has just this image, by the name that umoci is given.
 */
async function singleImageLayout(layout: string, image: Descriptor, view: string): Promise<void> {
  await mkdir(view, { recursive: true });
  const { mediaType, digest, size } = image;
  const manifests = [{ mediaType, digest, size, annotations: { [REF_NAME]: "image" } }];
  await writeFile(join(view, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  await writeFile(join(view, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await symlink(join(layout, "blobs"), join(view, "blobs"));
}

/** Of an index, the image for this machine. */
async function forThisPlatform(layout: string, image: Descriptor): Promise<Descriptor> {
  if (!INDEX_TYPES.includes(image.mediaType)) return image;
  const index = parseJson<Index>(await readBlob(layout, image), image.digest);
  const architecture = platformArchitecture();
  const found = index.manifests.find(
    ({ platform }) => platform?.os === "linux" && platform.architecture === architecture,
  );
  if (found) return await forThisPlatform(layout, found);
  const platforms = index.manifests.map(
    ({ platform }) => `${platform?.os}/${platform?.architecture}`,
  );
  throw new BuildError(
    `Image ${image.digest} is not for linux/${architecture}, only for ${platforms.join(", ")}`,
  );
}

/** Largest manifest or configuration, in bytes; larger than any registry takes. */
const MAX_DOCUMENT = 16 * 1024 * 1024;

async function readBlob(layout: string, { digest, size }: Descriptor): Promise<string> {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1];
  if (hex === undefined) throw new BuildError(`Digest "${digest}" is not supported, only sha256`);
  if (size > MAX_DOCUMENT) throw new BuildError(`Document ${digest} is too large (${size} bytes)`);
  const path = join(layout, "blobs", "sha256", hex);
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new BuildError(`Image in ${layout} is incomplete: ${error.message}`);
  });
  if (createHash("sha256").update(bytes).digest("hex") !== hex) {
    throw new BuildError(`${path} is damaged: its content does not have the digest of its name`);
  }
  return bytes.toString("utf8");
}

function parseJson<T>(text: string, name: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new BuildError(`${name} is not valid JSON: ${(error as Error).message}`);
  }
}
