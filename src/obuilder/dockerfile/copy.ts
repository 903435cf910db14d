/*
 * COPY. A spec differs from Docker in two points.
 *
 * Of a directory, Docker copies the contents, a spec the directory itself, under the name of a
 * destination without a slash at its end. So a directory's destination loses its slash. Which sources
 * are directories can be seen in the build context, in what is known of a stage, or by a slash at
 * their end; if in none of these, the source is taken for a file.
 *
 * A file goes into a destination that is a directory; a spec goes by the slash at its end, Docker by
 * what is there. So the destination gets a slash if a directory is known to be there (destination.ts).
 *
 * Where that matters and is not known, there is a warning.
 */

import { basename } from "node:path/posix";
import { type DataSource, ROOT, type User } from "../spec/spec.js";
import type { BuildContext } from "./build-context.js";
import { fileDestination } from "./destination.js";
import { InstructionError } from "./errors.js";
import type { Instruction } from "./parser.js";
import type { Stage } from "./stage.js";
import { parseUserPair } from "./user.js";
import { expandWord, parseJsonWords, splitBlanks, type WordRules } from "./words.js";

/** Where a COPY copies from, and what is known of the files there. */
export interface CopySource {
  readonly from: DataSource;
  readonly context: BuildContext;
}

export interface CopyEnvironment {
  /** Where `--from=NAME` points. */
  readonly sourceNamed: (name: string) => CopySource;
  readonly context: BuildContext;
  readonly warn: (message: string) => void;
}

export function convertCopy(
  instruction: Instruction,
  stage: Stage,
  rules: WordRules,
  environment: CopyEnvironment,
): void {
  if (instruction.heredocs.length > 0) {
    throw new InstructionError("COPY of a here-document has no counterpart; use a file");
  }
  const { source, owner } = convertFlags(instruction, rules, environment);
  const { from, context } = source;
  const { dst, sources } = parsePaths(instruction.text, rules);
  const into = isDirectoryByName(dst);
  if (sources.length > 1 && !into) {
    throw new InstructionError(`COPY of several sources needs a / at the end of ${dst}`);
  }
  for (const { src, dir } of grouped(sources, context)) {
    if (dir) {
      const path = destinationOfDirectory(src[0]!, dst);
      const exclude = context.excludes(src[0]!, environment.warn);
      stage.copy({ from, src, dst: path, exclude }, owner);
      stage.paths.add(dst, "dir");
      continue;
    }
    const unknown = src.filter((name) => context.kindOf(name) === undefined);
    const path = into
      ? withSlash(dst)
      : fileDestination(
          { src: src[0]!, isKnown: unknown.length === 0, dst },
          stage.paths,
          environment.warn,
        );
    stage.copy({ from, src, dst: path, exclude: [] }, owner);
    if (into) stage.paths.add(dst, "dir");
    if (into && unknown.length === 0) {
      for (const file of src) stage.paths.add(`${dst}/${basename(file)}`, "file");
    }
    if (into && unknown.length > 0) {
      environment.warn(
        `if one of ${src.join(", ")} is a directory, it is copied as a whole into ${dst}, not its ` +
          "contents; end its name with / to copy these",
      );
    }
  }
}

/** Throws `InstructionError`. */
function parsePaths(text: string, rules: WordRules): { dst: string; sources: string[] } {
  const words = parseJsonWords(text) ?? splitBlanks(text);
  const [dst, ...sources] = words.map((word) => expandWord(word, rules)).reverse();
  if (dst === undefined || sources.length === 0) {
    throw new InstructionError("COPY needs at least one source and a destination");
  }
  // Nothing, as a variable's value may be, is the working directory.
  return { dst: dst || ".", sources: sources.reverse() };
}

function convertFlags(
  { flags }: Instruction,
  rules: WordRules,
  environment: CopyEnvironment,
): { source: CopySource; owner: User } {
  let source: CopySource = { from: { from: "context" }, context: environment.context };
  let owner: User = ROOT;
  for (const { name, value } of flags) {
    const text = expandWord(value ?? "", rules);
    if (name === "from") source = environment.sourceNamed(text);
    else if (name === "chown") owner = parseUserPair(text);
    else if (name !== "link") throw new InstructionError(`COPY --${name} has no counterpart`);
  }
  return { source, owner };
}

/** Sources in order, directories each on its own. */
function grouped(
  sources: readonly string[],
  context: BuildContext,
): { src: string[]; dir: boolean }[] {
  const groups: { src: string[]; dir: boolean }[] = [];
  for (const source of sources) {
    const dir = isDirectory(source, context);
    const last = groups.at(-1);
    if (!dir && last && !last.dir) last.src.push(source);
    else groups.push({ src: [source], dir });
  }
  return groups;
}

/** Throws `InstructionError` for a source that a spec cannot copy as Docker does. */
function isDirectory(source: string, context: BuildContext): boolean {
  if (/[*?[]/.test(source)) {
    throw new InstructionError(`the pattern ${source} has no counterpart; name the files`);
  }
  if (source.split("/").includes("..")) {
    throw new InstructionError(`${source} leads out of the source, which a spec does not allow`);
  }
  const ignored = context.leavesOut(source);
  if (ignored) {
    throw new InstructionError(`${source} is left out by .dockerignore:${ignored.line}`);
  }
  const kind = context.kindOf(source);
  if (kind === "symlink") {
    throw new InstructionError(
      `${source} is a symbolic link: Docker copies what it points to, a spec the link; name the former`,
    );
  }
  return kind === undefined ? isDirectoryByName(source) : kind === "dir";
}

function isDirectoryByName(path: string): boolean {
  return /(?:^|\/)\.{0,2}$/.test(path);
}

function withSlash(dst: string): string {
  return dst.endsWith("/") ? dst : `${dst}/`;
}

/** Where a directory's contents are to be: named without a slash at the end. */
function destinationOfDirectory(src: string, dst: string): string {
  // The top directory has no name that could get in the way.
  if (/^[./]*$/.test(src)) return isDirectoryByName(dst) ? withSlash(dst) : dst;
  const bare = dst.replace(/(?<=[^/])\/+$/, "");
  return isDirectoryByName(bare) ? `${withSlash(bare)}.` : bare;
}
