/*
 * WORKDIR. Where the directory is not there yet, BuildKit makes it for the user of the stage, and a spec's next step for
 * root.
 */

import { isRoot, isUnixUser } from "../spec/spec.js";
import type { Stage } from "./stage.js";

export function convertWorkdir(path: string, stage: Stage, warn: (message: string) => void): void {
  const { user } = stage;
  if (isUnixUser(user) && !isRoot(user) && stage.paths.kindOf(path) !== "dir") {
    warn(
      `if ${path} is not there yet, it is made for root, and not for ${user.uid}:${user.gid} as BuildKit ` +
        "does; make it with RUN before",
    );
  }
  stage.setWorkdir(path);
}
