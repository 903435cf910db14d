/*
 * FROM: an image or a stage before, and the name of the stage that begins.
 */

import type { Flag, Instruction } from "./parser.js";
import { type Platform, platformName } from "./platform.js";
import { expandWord, splitBlanks, type WordRules } from "./words.js";

export interface From {
  /** Empty if there is none. */
  readonly image: string;
  /** In lower case. */
  readonly alias: string | undefined;
  /** What is wrong with it, if anything. The stage begins all the same, so that what follows is not blamed for it. */
  readonly problem: string | undefined;
}

/** Throws `InstructionError` if its variables cannot be resolved. */
export function parseFrom(
  { text, flags }: Instruction,
  rules: WordRules,
  platform: Platform,
): From {
  const words = splitBlanks(text).map((word) => expandWord(word, rules));
  const [image = "", as, alias, ...more] = words;
  const isWellFormed =
    words.length !== 2 && more.length === 0 && (as === undefined || as.toLowerCase() === "as");
  const problem = !image
    ? "FROM needs an image"
    : !isWellFormed
      ? "FROM needs the form IMAGE or IMAGE AS NAME"
      : image === "scratch"
        ? "FROM scratch has no counterpart: a build begins with an image"
        : flagProblem(flags, rules, platform);
  return { image, alias: alias?.toLowerCase(), problem };
}

function flagProblem(flags: readonly Flag[], rules: WordRules, platform: Platform) {
  for (const { name, value } of flags) {
    if (name !== "platform") return `FROM --${name} has no counterpart`;
    const wanted = expandWord(value ?? "", rules);
    const own = platformName(platform);
    if (wanted !== own) {
      return `--platform=${wanted} has no counterpart: builds are for their machine's own, ${own}`;
    }
  }
  return undefined;
}
