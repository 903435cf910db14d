/**
 * Where an image is pushed to: `REPO:TAG`, and the registry that REPO is in.
 */
import { registryOf } from "../../docker/index.js";
import { parseImageTarget, quoted, type TargetProblem } from "../../text/index.js";
import { InvalidJob } from "../failure.js";

const PROBLEMS: Record<TargetProblem, string> = {
  "no tag": "Missing ':TAG' in target",
  "empty repository": "Repository empty in",
  "empty tag": "Tag empty in",
  repository: "No image can be pushed to such a repository:",
  tag: "No image can have such a tag:",
};

export class PushTarget {
  private constructor(
    readonly repo: string,
    readonly tag: string,
  ) {}

  /** Throws `InvalidJob`. */
  static parse(text: string): PushTarget {
    const parsed = parseImageTarget(text);
    if (typeof parsed === "object") return new PushTarget(parsed.repo, parsed.tag);
    throw new InvalidJob(`${PROBLEMS[parsed]} ${quoted(text)}`);
  }

  /** The registry's address as the engine and its configuration files call it. */
  get registry(): string {
    return registryOf(this.repo);
  }

  toString(): string {
    return `${this.repo}:${this.tag}`;
  }
}
