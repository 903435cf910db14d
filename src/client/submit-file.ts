/** `submit FILE`: takes a spec or a Dockerfile for what it is. */
import { readFileSync } from "node:fs";
import type { Action } from "../api/index.js";
import { UsageError } from "../console/index.js";
import { fromBytes, quoted } from "../text/index.js";

/**
 * What a file is by its first word: a spec begins with a parenthesis, a Dockerfile with an
 * instruction. Else undefined.
 */
export function kindOfText(text: string): "spec" | "dockerfile" | undefined {
  for (const line of text.split("\n")) {
    const word = line.trim();
    if (word === "" || word.startsWith(";")) continue;
    if (word.startsWith("(")) return "spec";
    if (word.startsWith("#")) continue;
    return /^(FROM|ARG)\s/i.test(word) ? "dockerfile" : undefined;
  }
  return undefined;
}

/**
 * The job that the file describes. Throws a `UsageError` if it is neither, and the system's errors.
 */
export function actionOfFile(path: string): Action {
  const text = fromBytes(readFileSync(path));
  switch (kindOfText(text)) {
    case "spec":
      return { kind: "obuilder", spec: text };
    case "dockerfile":
      return {
        kind: "docker",
        dockerfile: { contents: text },
        buildArgs: [],
        squash: false,
        buildkit: false,
        includeGit: false,
      };
    default:
      throw new UsageError(
        `${quoted(path)} is neither a spec, which begins with a parenthesis, nor a Dockerfile, which begins with FROM or ARG. ` +
          "Use submit-obuilder or submit-docker if it is one all the same.",
      );
  }
}
