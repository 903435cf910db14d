/*
 * COPY and ADD. What is copied as it is becomes a spec's `copy` (copy-files.ts); what that cannot
 * do (modes, texts, archives, patterns in a stage) is done by a command of the spec's own
 * (copy-steps.ts).
 */

import { posix } from "node:path";
import { ROOT, type User } from "../spec/spec.js";
import { parseMode } from "./chmod.js";
import { copyDirectory, copyFiles, isPlain } from "./copy-files.js";
import {
  type CopyEnvironment,
  type CopyJob,
  type CopySource,
  isDirectoryByName,
} from "./copy-job.js";
import { readSources, type Source } from "./copy-sources.js";
import { copyPattern, copyText, unpackArchive } from "./copy-steps.js";
import { InstructionError } from "./errors.js";
import type { Instruction } from "./parser.js";
import type { Stage } from "./stage.js";
import { expandWord, parseJsonWords, splitBlanks, type WordRules } from "./words.js";

export function convertCopy(
  instruction: Instruction,
  stage: Stage,
  rules: WordRules,
  environment: CopyEnvironment,
): void {
  const keyword = instruction.keyword === "ADD" ? "ADD" : "COPY";
  const { source, owner, mode, parents } = convertFlags(instruction, stage, rules, environment);
  const { dst, words } = parsePaths(keyword, instruction.text, rules);
  const sources = readSources(words, {
    keyword,
    source,
    heredocs: instruction.heredocs,
    rules,
    warn: environment.warn,
  });
  // Several words need it by name; what a pattern matches goes into a directory that is there.
  const isThere = words.length === 1 && sources.length > 1 && stage.paths.kindOf(dst) === "dir";
  const into = isDirectoryByName(dst) || isThere;
  if (sources.length > 1 && !into && !parents) {
    throw new InstructionError(`${keyword} of several sources needs a / at the end of ${dst}`);
  }
  if (keyword === "ADD" && mode !== undefined && sources.some(({ is }) => is === "archive")) {
    environment.warn("--chmod changes nothing of an archive that ADD unpacks");
  }
  const job: CopyJob = { ...environment, stage, source, owner, mode, dst, into };
  if (source.from.from === "build") {
    environment.warnOnce(
      "COPY --from keeps modes in Docker; a spec makes them 644, or 755 for what can be executed",
    );
  }
  for (const group of parents ? sources.map((one) => [one]) : grouped(sources)) {
    copyGroup(group, parents ? withParents(job, group[0]!) : job);
  }
}

/** Sources in order: files that one operation can copy together, and others each on its own. */
function grouped(sources: readonly Source[]): Source[][] {
  const groups: Source[][] = [];
  for (const source of sources) {
    const last = groups.at(-1)?.[0];
    if (isPlain(source) && last && isPlain(last)) groups.at(-1)!.push(source);
    else groups.push([source]);
  }
  return groups;
}

/** `--parents`: the destination is a directory, and the source's directories are made in there. */
function withParents(job: CopyJob, source: Source): CopyJob {
  if (source.is !== "file" && source.is !== "dir") {
    throw new InstructionError(
      "COPY --parents of a text or pattern has no counterpart; name the files",
    );
  }
  const path = posix.normalize(`/${source.path}`).replace(/\/$/, "");
  const dir = source.is === "dir" ? path : posix.dirname(path);
  return { ...job, dst: `${job.dst.replace(/\/+$/, "")}${dir === "/" ? "" : dir}/`, into: true };
}

function copyGroup(group: readonly Source[], job: CopyJob): void {
  const [first] = group;
  if (first!.is === "dir") copyDirectory(first!.path, job);
  else if (first!.is === "archive") unpackArchive(first!, job);
  else if (first!.is === "pattern") copyPattern(first!.pattern, job);
  else if (first!.is === "text") copyText(first!, job);
  else copyFiles(group as Extract<Source, { is: "file" }>[], job);
}

/** Throws `InstructionError`. */
function parsePaths(
  keyword: string,
  text: string,
  rules: WordRules,
): { dst: string; words: string[] } {
  const written = parseJsonWords(text) ?? splitBlanks(text);
  const [dst, ...sources] = written.map((word) => expandWord(word, rules)).reverse();
  if (dst === undefined || sources.length === 0) {
    throw new InstructionError(`${keyword} needs at least one source and a destination`);
  }
  // Nothing, as a variable's value may be, is the working directory.
  return { dst: dst || ".", words: sources.reverse() };
}

/** Flags of ADD for what is elsewhere, which is refused for that. */
const OF_REMOTE = new Set(["keep-git-dir", "checksum", "unpack"]);

interface CopyFlags {
  readonly source: CopySource;
  readonly owner: User;
  readonly mode: string | undefined;
  readonly parents: boolean;
}

function convertFlags(
  { flags, keyword }: Instruction,
  stage: Stage,
  rules: WordRules,
  environment: CopyEnvironment,
): CopyFlags {
  let source: CopySource = { from: { from: "context" }, context: environment.context, root: "" };
  let owner: User = ROOT;
  let mode: string | undefined;
  let parents = false;
  for (const { name, value } of flags) {
    const text = expandWord(value ?? "", rules);
    if (name === "from" && keyword === "COPY") source = environment.sourceNamed(text);
    else if (name === "chown") owner = ownerNamed(text, stage);
    else if (name === "chmod") mode = parseMode(text);
    else if (name === "parents") parents = value !== "false";
    else if (name === "exclude") {
      throw new InstructionError(
        `--exclude=${text} has no counterpart; write the pattern into .dockerignore`,
      );
    } else if (name !== "link" && !(keyword === "ADD" && OF_REMOTE.has(name)))
      throw new InstructionError(`${keyword} --${name} has no counterpart`);
  }
  return { source, owner, mode, parents };
}

function ownerNamed(text: string, stage: Stage): User {
  const owner = stage.accounts.resolveOwner(text);
  return stage.checked(text.startsWith(":") ? `0${text}` : text, owner);
}
