/*
 * What a base image says of the builds that begin with it: their user, working directory and shell,
 * and instructions that they are to begin with (ONBUILD). A spec takes none of that from an image,
 * so it becomes operations.
 */

import type { Stage } from "./stage.js";
import { userNamed } from "./user.js";

export interface ImageSettings {
  /** As USER has it; empty for root. */
  readonly user: string;
  /** Empty for `/`. */
  readonly workdir: string;
  /** Empty for the usual one. */
  readonly shell: readonly string[];
  /** Instructions, each as in a Dockerfile. */
  readonly onbuild: readonly string[];
}

/** Gives a new stage what its image says, but for ONBUILD. */
export function applySettings(stage: Stage, settings: ImageSettings, windows: boolean): void {
  const { user, workdir } = settings;
  if (workdir !== "" && workdir !== "/") stage.setWorkdir(workdir);
  if (user !== "") stage.setUser(userNamed(user, windows));
}

/** Of an image that sets nothing. */
export const NO_SETTINGS: ImageSettings = { user: "", workdir: "", shell: [], onbuild: [] };
