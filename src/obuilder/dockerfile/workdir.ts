/*
 * WORKDIR. Where the directory is not there yet, BuildKit makes it for the user of the stage, and a
 * spec's next step for root; so a user's own is made by a command. A spec without a step there does
 * not make it at all, so it gets one.
 */

import { isRoot, isUnixUser, type User } from "../spec/spec.js";
import { InstructionError } from "./errors.js";
import { makeDirectories } from "./shell-text.js";
import type { Stage } from "./stage.js";

export function convertWorkdir(path: string, stage: Stage, warn: (message: string) => void): void {
  if (path === "") throw new InstructionError("WORKDIR needs a path, and this one is empty");
  const absolute = stage.paths.absolute(path);
  const isThere = absolute === "/" || stage.paths.kindOf(path) === "dir";
  const user = isThere || absolute === undefined ? undefined : userOf(stage, path, warn);
  const isOwn = user !== undefined && isUnixUser(user) && !isRoot(user);
  // Before it is left, a step must have made it.
  if (stage.paths.unmadeBefore(path) !== undefined && stage.root === "") stage.help(":");
  if (!isThere && absolute !== undefined && (isOwn || stage.root !== "")) {
    const { uid, gid } = user !== undefined && isUnixUser(user) ? user : { uid: 0n, gid: 0n };
    stage.help(makeDirectories(`${stage.root}${absolute}`, `${uid}:${gid}`));
    stage.paths.add(path, "dir");
  }
  stage.setWorkdir(path);
}

/** Undefined if it cannot be told, which may not matter. */
function userOf(stage: Stage, path: string, warn: (message: string) => void): User | undefined {
  try {
    return stage.user;
  } catch (error) {
    if (!(error instanceof InstructionError)) throw error;
    warn(`if ${path} is not there yet, it is made for root, and not for the user that is set`);
    return undefined;
  }
}
