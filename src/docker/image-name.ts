/*
 * Names of images: `[REGISTRY/]PATH[:TAG][@DIGEST]`.
 */

import { quoted } from "../text/index.js";
import { ImageNameError } from "./errors.js";

export interface ImageName {
  /** With the registry, as written: `debian`, `127.0.0.1:5000/org/app`. */
  readonly repository: string;
  readonly tag: string | undefined;
  /** `sha256:…` */
  readonly digest: string | undefined;
}

const COMPONENT = "[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?";
const NAME = new RegExp(
  `^(?<repository>(?:${COMPONENT}(?::\\d+)?/)?${COMPONENT}(?:/${COMPONENT})*)` +
    "(?::(?<tag>\\w[\\w.-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$",
);

/** Throws `ImageNameError` for what is no name. */
export function parseImageName(name: string): ImageName {
  const groups = NAME.exec(name)?.groups;
  // `..` within a component would be a way out of the directory of images.
  if (!groups || name.includes("..")) {
    throw new ImageNameError(
      `Invalid image name ${quoted(name)}; it should look like debian:13 or registry/name:tag@sha256:DIGEST`,
    );
  }
  return { repository: groups.repository!, tag: groups.tag, digest: groups.digest };
}

/** The name without its tag if it has a digest, which says more. */
export function pinnedName({ repository, tag, digest }: ImageName): string {
  if (digest !== undefined) return `${repository}@${digest}`;
  return `${repository}:${tag ?? "latest"}`;
}

/** Whether the image's registry is on this machine, where no certificate is to be expected. */
export function isLoopbackRegistry({ repository }: ImageName): boolean {
  return /^(?:localhost|127\.\d+\.\d+\.\d+)(?::\d+)?\//.test(repository);
}

/** All names of a repository: Docker Hub's have short ones. */
export function repositoryAliases({ repository }: ImageName): string[] {
  const short = repository.replace(/^docker\.io\//, "").replace(/^library\//, "");
  return short === repository ? [repository] : [repository, short];
}

/** Docker Hub's name in configuration files and in what the engine asks for. */
export const DOCKER_HUB = "https://index.docker.io/v1/";

/** The registry of a repository, by the address under which configuration files have it. */
export function registryOf(repo: string): string {
  const [first, ...rest] = repo.split("/");
  const isHost = rest.length > 0 && (/[.:]/.test(first!) || first === "localhost");
  return isHost && first !== "docker.io" && first !== "index.docker.io" ? first! : DOCKER_HUB;
}
