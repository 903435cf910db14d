/*
 * `REPO:TAG`, the name that an image is pushed to: what engines and registries take for one, so
 * that a wrong name is refused before anything is built. The grammar is that of
 * github.com/distribution/reference.
 */

interface ImageTarget {
  /** With the registry's address if it has one: `org/app`, `localhost:5000/org/app`. */
  readonly repo: string;
  readonly tag: string;
}

export type TargetProblem = "no tag" | "empty repository" | "empty tag" | "repository" | "tag";

const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const HOST = "[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\]";
const REPO = new RegExp(`^(?:(?:${HOST})(?::\\d+)?/)?${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^\w[\w.-]{0,127}$/;

/** More than any registry takes; the pattern is not asked about it. */
const MAX_REPO = 255;

/**
 * Splits the text at its last colon, or says what is wrong with it. A colon before a slash is that
 * of a port.
 */
export function parseImageTarget(text: string): ImageTarget | TargetProblem {
  const colon = text.lastIndexOf(":");
  if (colon < 0 || text.includes("/", colon)) return "no tag";
  const [repo, tag] = [text.slice(0, colon), text.slice(colon + 1)];
  if (repo === "") return "empty repository";
  if (tag === "") return "empty tag";
  if (repo.length > MAX_REPO || !REPO.test(repo)) return "repository";
  return TAG.test(tag) ? { repo, tag } : "tag";
}
