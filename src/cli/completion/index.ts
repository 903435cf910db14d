/** Completion scripts: what `PROGRAM completion SHELL` prints. */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { bashCompletion } from "./bash.js";
import { fishCompletion } from "./fish.js";
import { completable } from "./model.js";
import { zshCompletion } from "./zsh.js";

export const SHELLS = ["bash", "zsh", "fish"] as const;

const RENDERERS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

/** The script that teaches a shell about a program's commands, options and values. */
export function completionScript(
  program: CommandUnknownOpts,
  shell: (typeof SHELLS)[number],
): string {
  return RENDERERS[shell](completable(program));
}
