/*
 * WORKDIR. Where the directory is not there yet, BuildKit makes it for the user of the stage, and a spec's next step for
 * root. A spec without a step there does not make it at all.
 */

import { isRoot, isUnixUser } from "../spec/spec.js";
import { InstructionError } from "./errors.js";
import type { Stage } from "./stage.js";

export function convertWorkdir(path: string, stage: Stage, warn: (message: string) => void): void {
  if (path === "") throw new InstructionError("WORKDIR needs a path, and this one is empty");
  const unmade = stage.paths.unmadeBefore(path);
  if (unmade !== undefined) {
    warn(
      `nothing is run in ${unmade} before, so a spec does not make it; if it is needed, add RUN mkdir -p`,
    );
  }
  const { user } = stage;
  if (isUnixUser(user) && !isRoot(user) && stage.paths.kindOf(path) !== "dir") {
    warn(
      `if ${path} is not there yet, it is made for root, and not for ${user.uid}:${user.gid} as BuildKit ` +
        "does; make it with RUN before",
    );
  }
  stage.setWorkdir(path);
}
