/*
 * `--chmod`: a spec's `copy` knows only what can be executed and what cannot, so a command sets
 * modes behind it.
 */

import { InstructionError } from "./errors.js";
import { shellWord } from "./shell-text.js";

/** Paths named one by one. */
const MAX_NAMED = 200;

/** The mode, in octal digits or as `u=rwX,go=rX`. Throws `InstructionError` for any other. */
export function parseMode(text: string): string {
  if (/^[0-7]{3,4}$/.test(text)) return text;
  if (/^[ugoa]*[-+=][rwxXst]*(?:,[ugoa]*[-+=][rwxXst]*)*$/.test(text))
    return text.replace(/(?<![ugoa])(?=[-+=])/g, "a");
  throw new InstructionError(`--chmod=${text} has no counterpart; write the mode as in 755`);
}

/** What gets a mode: paths; all below a directory; or what is known only when it is there. */
export type ChmodTarget =
  | readonly string[]
  | { readonly below: string }
  /** The file, or that of a name in it if it is a directory. */
  | { readonly file: string; readonly orIn: string }
  /** The file and what is in it or, if there is none, all below a directory. */
  | { readonly file: string; readonly orBelow: string };

/** A command for `/bin/sh`. */
export function chmodCommand(mode: string, target: ChmodTarget): string {
  if ("below" in target) return chmodBelow(mode, target.below);
  if ("orIn" in target) {
    const inside = shellWord(target.orIn);
    return `f=${shellWord(target.file)}; [ ! -d "$f" ] || f=$f/${inside}; chmod ${mode} "$f"`;
  }
  if ("orBelow" in target) {
    const file = shellWord(target.file);
    return `if [ -e ${file} ]; then chmod -R ${mode} ${file}; else ${chmodBelow(mode, target.orBelow)}; fi`;
  }
  if (target.length > MAX_NAMED) {
    throw new InstructionError(
      `--chmod of ${target.length} files has no counterpart; use RUN chmod`,
    );
  }
  return target.length === 0 ? ":" : `chmod ${mode} ${target.map(shellWord).join(" ")}`;
}

function chmodBelow(mode: string, dir: string): string {
  return `find ${shellWord(dir || "/")} -mindepth 1 ! -type l -exec chmod ${mode} {} +`;
}
