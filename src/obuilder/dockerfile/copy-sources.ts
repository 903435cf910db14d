/*
 * The sources of a COPY or ADD, each as what it is: patterns become what they match, links what
 * they point to, and directories, files and archives are told apart as far as that is known.
 */

import { basename, posix } from "node:path";
import { archiveNamed, type TarOption } from "./archives.js";
import type { BuildContext } from "./build-context.js";
import { type CopySource, isDirectoryByName } from "./copy-job.js";
import { InstructionError } from "./errors.js";
import { isPattern } from "./glob.js";
import type { Heredoc } from "./heredocs.js";
import { expandWord, type WordRules } from "./words.js";

export type Source =
  /** A file; or, if it `isKnown` not to be sure, maybe a directory. */
  | { readonly is: "file"; readonly path: string; readonly name: string; readonly isKnown: boolean }
  | { readonly is: "dir"; readonly path: string }
  | { readonly is: "archive"; readonly path: string; readonly option: TarOption }
  /** In a stage, where nobody can look yet. */
  | { readonly is: "pattern"; readonly pattern: string }
  | { readonly is: "text"; readonly name: string; readonly content: string };

export interface SourceOptions {
  readonly keyword: "COPY" | "ADD";
  readonly source: CopySource;
  readonly heredocs: readonly Heredoc[];
  readonly rules: WordRules;
  readonly warn: (message: string) => void;
}

/** Matches shown in a warning. */
const SHOWN = 5;

/** Throws `InstructionError` for what a spec cannot copy as Docker does. */
export function readSources(words: readonly string[], options: SourceOptions): Source[] {
  const texts = [...options.heredocs];
  return words.flatMap((word): Source[] => {
    const heredoc = word.includes("<<") ? texts.shift() : undefined;
    if (heredoc) return [textOf(heredoc, options.rules)];
    if (options.keyword === "ADD") refuseRemote(word);
    const path = fromTop(word);
    if (!isPattern(path)) return [sourceAt(path, options)];
    return matchesOf(path, options);
  });
}

function textOf({ name, content, isQuoted }: Heredoc, rules: WordRules): Source {
  if (isQuoted) return { is: "text", name, content };
  // Quotes mean nothing in there.
  return { is: "text", name, content: expandWord(content, { ...rules, quotes: false }) };
}

function refuseRemote(word: string): void {
  const isGit = /^git@|^git:|\.git(?:#|$)/.test(word);
  if (!isGit && !/^(?:https?|ftp):\/\//i.test(word)) return;
  throw new InstructionError(
    `ADD of ${word}: a spec copies files only, and a layer's id could not tell when they change there; ` +
      (isGit
        ? "RUN git clone, or COPY a checkout"
        : "RUN wget or curl, or COPY a file that was fetched before"),
  );
}

/** Paths begin at the top, and `..` does not lead out of it. */
function fromTop(word: string): string {
  const path = posix.normalize(`/${word}`).slice(1);
  const isDirectory = /(?:^|\/)\.{0,2}$/.test(word);
  if (path === "") return word.startsWith("/") ? "/" : ".";
  const tidy = path.replace(/\/$/, "");
  const prefix = word.startsWith("/") ? "/" : "";
  return prefix + tidy + (isDirectory ? "/" : "");
}

function sourceAt(path: string, options: SourceOptions): Source {
  const { source, keyword, warn } = options;
  const { context } = source;
  const name = basename(path);
  // Where nothing is known of it, the path stays as it is.
  const real = isTop(path) ? path : (context.follow(path) ?? path);
  const ignored = context.leavesOut(path) ?? context.leavesOut(real);
  if (ignored) throw new InstructionError(`${path} is left out by .dockerignore:${ignored.line}`);
  const kind = context.kindOf(real);
  if (kind === "symlink") {
    throw new InstructionError(
      `${path} is a symbolic link that leads nowhere in the build context`,
    );
  }
  if (kind === "dir") return { is: "dir", path: real === trimmed(path) ? path : real };
  if (kind === undefined && isDirectoryByName(path)) return { is: "dir", path };
  const option = keyword === "ADD" && (context.archive(real) ?? archiveNamed(path));
  if (option !== false && kind === undefined)
    warn(`${path} is taken for an archive that ADD unpacks`);
  if (option !== false) return { is: "archive", path: real, option };
  return {
    is: "file",
    path: kind === undefined ? path : real === trimmed(path) ? path : real,
    name,
    isKnown: kind !== undefined,
  };
}

function matchesOf(pattern: string, options: SourceOptions): Source[] {
  const { source, warn } = options;
  if (source.help) return [{ is: "pattern", pattern }];
  const matches = source.context.matches(pattern);
  if (!matches) {
    throw new InstructionError(
      `what the pattern ${pattern} matches is not known here; give the build context with --context, or name the files`,
    );
  }
  const shown = `${matches.slice(0, SHOWN).join(", ")}${matches.length > SHOWN ? ", …" : ""}`;
  warn(
    matches.length === 0
      ? `${pattern} matches nothing now, and is left out as Docker does`
      : `a spec has no patterns; ${pattern} became what it matches now: ${shown}`,
  );
  return matches.map((path) => sourceAt(path, options));
}

/** The context or root itself. */
function isTop(path: string): boolean {
  return /^[./]*$/.test(path);
}

function trimmed(path: string): string {
  return path.replace(/^\/+|\/+$/g, "");
}

/**
 * Whether a directory of the context has files whose modes a copy does not keep; `undefined` if
 * there are none.
 */
export function oddModes(context: BuildContext, path: string): string | undefined {
  for (const entry of context.entries(path) ?? []) {
    const usual =
      entry.kind === "dir" ? [0o755] : entry.kind === "file" ? [0o644, 0o755] : undefined;
    if (!usual || usual.includes(entry.mode)) continue;
    const name = [trimmed(path), entry.path]
      .filter((part) => part !== "" && part !== ".")
      .join("/");
    if (name !== "") return `${name} has mode ${entry.mode.toString(8)}`;
  }
  return undefined;
}
