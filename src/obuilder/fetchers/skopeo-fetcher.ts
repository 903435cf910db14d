/*
 * Images from a registry without an engine: skopeo copies them into a temporary OCI layout,
 * checking digests and choosing this machine's platform. Credentials are those of `docker login`,
 * or of skopeo's own configuration.
 */

import { access, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { type ImageName, isLoopbackRegistry, pinnedName } from "../../docker/index.js";
import { run, runLogged } from "../../system/index.js";
import type { FetchedImage, Fetcher, FetchIo, LayerDir } from "../contracts.js";
import { BuildError } from "../errors.js";
import { imageNameOf } from "../image/image-name.js";
import { readIndex, unpackImage } from "../image/oci-layout.js";

/**
 * Without this file skopeo does nothing unless told to accept any image; Debian has it in a package
 * of its own.
 */
const POLICY_FILE = "/etc/containers/policy.json";

export class SkopeoFetcher implements Fetcher {
  readonly #tmp: string;

  /** `tmp`: absolute path of a directory with room for an image. */
  constructor(tmp: string) {
    this.#tmp = tmp;
  }

  async canFetch(): Promise<boolean> {
    return await run(["skopeo", "--version"]).then(
      () => true,
      () => false,
    );
  }

  async fetch(image: string, layer: LayerDir, { log, signal }: FetchIo): Promise<FetchedImage> {
    const name = imageNameOf(image);
    // A tag may move at any moment; the digest that is recorded must be of the image that is
    // fetched.
    const digest = name.digest ?? (await this.#digest(name, signal));
    const layout = await mkdtemp(join(this.#tmp, "pull-"));
    try {
      const source = `docker://${pinnedName({ ...name, digest })}`;
      const tls = isLoopbackRegistry(name) ? ["--src-tls-verify=false"] : [];
      const argv = [
        "skopeo",
        ...(await policy()),
        "copy",
        ...(await credentials("--src-authfile")),
        ...tls,
      ];
      await runLogged([...argv, source, `oci:${layout}:image`], { log, signal });
      const copied = (await readIndex(layout))?.manifests[0];
      if (!copied) throw new BuildError(`skopeo has left no image in ${layout}`);
      const rootfs = join(layer.path, "rootfs");
      const env = await unpackImage(layout, copied, rootfs, { tmp: this.#tmp, signal });
      return { env, digest };
    } finally {
      await rm(layout, { recursive: true, force: true });
    }
  }

  async resolve(image: string, signal: AbortSignal): Promise<string | undefined> {
    return await this.#digest(imageNameOf(image), signal);
  }

  async #digest(name: ImageName, signal: AbortSignal): Promise<string> {
    const tls = isLoopbackRegistry(name) ? ["--tls-verify=false"] : [];
    const argv = [
      "skopeo",
      ...(await policy()),
      "inspect",
      ...(await credentials("--authfile")),
      ...tls,
    ];
    const source = `docker://${pinnedName(name)}`;
    return (await run([...argv, "--format", "{{.Digest}}", source], { signal })).trim();
  }
}

async function policy(): Promise<string[]> {
  return (await exists(POLICY_FILE)) ? [] : ["--insecure-policy"];
}

/** skopeo looks into ~/.docker/config.json by itself, but does not mind DOCKER_CONFIG. */
async function credentials(option: string): Promise<string[]> {
  const dir = process.env.DOCKER_CONFIG;
  if (!dir || process.env.REGISTRY_AUTH_FILE) return [];
  const file = join(dir, "config.json");
  return (await exists(file)) ? [option, file] : [];
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
