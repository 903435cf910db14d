/**
 * Where an image is pushed to: `REPO:TAG`, and the registry that REPO is in.
 */
import { quoted } from "../../text/index.js";
import { InvalidJob } from "../failure.js";

export class PushTarget {
  private constructor(
    readonly repo: string,
    readonly tag: string,
  ) {}

  /** Throws `InvalidJob`. */
  static parse(text: string): PushTarget {
    const colon = text.lastIndexOf(":");
    if (colon < 0) throw new InvalidJob(`Missing ':TAG' in target ${quoted(text)}`);
    const [repo, tag] = [text.slice(0, colon), text.slice(colon + 1)];
    if (repo === "") throw new InvalidJob(`Repository empty in ${quoted(text)}`);
    if (tag === "") throw new InvalidJob(`Tag empty in ${quoted(text)}`);
    return new PushTarget(repo, tag);
  }

  /** The registry's address as the engine and its configuration files call it. */
  get registry(): string {
    return registryOf(this.repo);
  }

  toString(): string {
    return `${this.repo}:${this.tag}`;
  }
}

/** Docker Hub's name in configuration files and in what the engine asks for. */
export const DOCKER_HUB = "https://index.docker.io/v1/";

/** The registry of a repository, by the address under which configuration files have it. */
export function registryOf(repo: string): string {
  const [first, ...rest] = repo.split("/");
  const isHost = rest.length > 0 && (/[.:]/.test(first!) || first === "localhost");
  return isHost && first !== "docker.io" && first !== "index.docker.io" ? first! : DOCKER_HUB;
}
