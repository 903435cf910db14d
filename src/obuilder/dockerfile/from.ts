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
  /**
   * What is wrong with it, if anything. The stage begins all the same, so that what follows is not
   * blamed for it.
   */
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
    ? `FROM needs an image${text.includes("$") ? `, and ${text} is empty; give it with --build-arg` : ""}`
    : !isWellFormed
      ? "FROM needs the form IMAGE or IMAGE AS NAME"
      : flagProblem(flags, rules, platform);
  return { image, alias: alias?.toLowerCase(), problem };
}

function flagProblem(flags: readonly Flag[], rules: WordRules, platform: Platform) {
  for (const { name, value } of flags) {
    if (name !== "platform") return `FROM --${name} has no counterpart`;
    const wanted = expandWord(value ?? "", rules);
    const own = platformName(platform);
    if (wanted !== "" && normalized(wanted) !== own) {
      return `--platform=${wanted} has no counterpart: builds are for their machine's own, ${own}`;
    }
  }
  return undefined;
}

/** `amd64`, `linux/x86_64` and the like. */
function normalized(name: string): string {
  const parts = name.toLowerCase().split("/");
  const [os, architecture = os, variant] = parts.length === 1 ? ["linux", parts[0]] : parts;
  const usual = { x86_64: "amd64", "x86-64": "amd64", aarch64: "arm64" }[architecture!];
  const isUsual = variant === undefined || ["v1", "v8"].includes(variant);
  return `${os}/${usual ?? architecture}${isUsual ? "" : `/${variant}`}`;
}
