/*
 * The build context of a Dockerfile, as far as its COPYs depend on it: what its paths are, and what
 * `.dockerignore` leaves out of them.
 *
 * A spec's `exclude` knows names, wherever they are below what is copied; `.dockerignore` knows
 * patterns of paths. What is in the context now decides whether names can say the same.
 */

import { lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import type { IgnoreFile, IgnorePattern } from "../../text/index.js";
import { fromBytes, toBytes } from "../../text/index.js";
import { archiveIn, type TarOption } from "./archives.js";
import { InstructionError } from "./errors.js";
import { matchesName } from "./glob.js";
import type { KnownPaths } from "./known-paths.js";

export type PathKind = "file" | "dir" | "symlink" | "other";

export interface BuildContext {
  /** What is there; undefined if there is nothing, or it is not known. */
  kindOf(path: string): PathKind | undefined;
  /** The pattern of `.dockerignore` that leaves a path out. */
  leavesOut(path: string): IgnorePattern | undefined;
  /**
   * The names that a copy of a directory must `exclude`. Throws `InstructionError` if no names will
   * do.
   */
  excludes(path: string, warn: (message: string) => void): string[];
  /**
   * Where a path leads to when links are followed; undefined if it is not known, or there is
   * nothing in the context.
   */
  follow(path: string): string | undefined;
  /** What a pattern matches, in order; undefined if it is not known. */
  matches(pattern: string): string[] | undefined;
  /**
   * What a copy of the path has in it, the path itself first, and links as such; undefined if it is
   * not known.
   */
  entries(path: string): ContextEntry[] | undefined;
  /**
   * How `tar` reads a file that ADD unpacks; false if it is no archive, undefined if that is not
   * known.
   */
  archive(path: string): TarOption | false | undefined;
}

export interface ContextEntry {
  /** Relative to the path asked for, empty for that itself. */
  readonly path: string;
  readonly kind: PathKind;
  /** Permissions, 0o7777 at most. */
  readonly mode: number;
}

/** Nothing is known. */
export const UNKNOWN_CONTEXT: BuildContext = {
  kindOf: () => undefined,
  leavesOut: () => undefined,
  excludes: () => [],
  follow: () => undefined,
  matches: () => undefined,
  entries: () => undefined,
  archive: () => undefined,
};

/** A stage that is copied from, as far as its files are known. Paths begin at its root. */
export function stageContext(paths: KnownPaths): BuildContext {
  return { ...UNKNOWN_CONTEXT, kindOf: (path) => paths.kindOf(`/${path}`) };
}

/** Directories within directories. */
const MAX_DEPTH = 1000;

/** Links in one path, as the kernel has it. */
const MAX_LINKS = 40;

/** Of a context with more files no more is looked at. */
const MAX_ENTRIES = 200_000;

/** Names shown in a warning. */
const SHOWN = 5;

export class DirectoryContext implements BuildContext {
  readonly #root: string;
  readonly #ignored: IgnoreFile;

  constructor(root: string, ignored: IgnoreFile) {
    this.#root = root;
    this.#ignored = ignored;
  }

  /** Links are not followed, nor are paths that lead out of the context. */
  kindOf(path: string): PathKind | undefined {
    const components = componentsOf(path);
    if (components.includes("..")) return undefined;
    let kind: PathKind | undefined = kindOf(this.#stat(""));
    for (const [i] of components.entries()) {
      if (kind !== "dir") return undefined;
      kind = kindOf(this.#stat(components.slice(0, i + 1).join("/")));
    }
    return kind;
  }

  leavesOut(path: string): IgnorePattern | undefined {
    const components = componentsOf(path);
    return components.length === 0 ? undefined : this.#ignoredBy(components.join("/"));
  }

  excludes(path: string, warn: (message: string) => void): string[] {
    const top = componentsOf(path).join("/");
    const survey: Survey = { out: new Map(), kept: new Map() };
    if (this.#ignored.patterns.length > 0) this.#survey(top, survey, 0);
    const names = new Set<string>();
    const found = new Map<IgnorePattern, string[]>();
    for (const [name, { pattern, path: out }] of survey.out) {
      const kept = survey.kept.get(name);
      if (kept !== undefined) {
        throw new InstructionError(
          `.dockerignore:${pattern.line} leaves out ${out}, but not ${kept}; a spec can only exclude both`,
        );
      }
      names.add(name);
      if (!pattern.literal) found.set(pattern, [...(found.get(pattern) ?? []), name]);
    }
    // What is not there now may be some day.
    for (const { literal, isException } of this.#ignored.patterns) {
      const isName = literal && !literal.path.includes("/") && (literal.anywhere || top === "");
      if (isName && !isException && !survey.kept.has(literal.path)) names.add(literal.path);
    }
    for (const [{ line, text }, matched] of found) {
      const shown = `${matched.slice(0, SHOWN).join(", ")}${matched.length > SHOWN ? ", …" : ""}`;
      warn(
        `a spec has no patterns; ${text} (.dockerignore:${line}) became what it matches now: ${shown}`,
      );
    }
    return [...names].sort();
  }

  follow(path: string): string | undefined {
    const left = componentsOf(path).reverse();
    const done: string[] = [];
    let links = 0;
    while (left.length > 0) {
      const name = left.pop()!;
      if (name === "..") {
        done.pop();
        continue;
      }
      const at = [...done, name].join("/");
      const stats = this.#stat(at);
      if (!stats) return undefined;
      if (!stats.isSymbolicLink()) {
        done.push(name);
        continue;
      }
      if (++links > MAX_LINKS) return undefined;
      const target = fromBytes(
        readlinkSync(toBytes(`${this.#root}/${at}`), { encoding: "buffer" }),
      );
      // The context is the root, for links as for all paths.
      if (target.startsWith("/")) done.length = 0;
      left.push(...componentsOf(target).reverse());
    }
    return done.join("/");
  }

  matches(pattern: string): string[] | undefined {
    let found = [""];
    for (const part of componentsOf(pattern)) {
      found = found.flatMap((dir) => {
        const real = this.follow(dir);
        if (real === undefined || this.kindOf(real) !== "dir") return [];
        return this.#names(real)
          .filter((name) => matchesName(part, name))
          .map((name) => (dir === "" ? name : `${dir}/${name}`));
      });
    }
    return found.filter((path) => path !== "" && this.leavesOut(path) === undefined);
  }

  entries(path: string): ContextEntry[] | undefined {
    const top = componentsOf(path).join("/");
    const found: ContextEntry[] = [];
    const visit = (inner: string, depth: number) => {
      const full = [top, inner].filter((part) => part !== "").join("/");
      const stats = this.#stat(full);
      const kind = kindOf(stats);
      if (!stats || !kind || found.length >= MAX_ENTRIES || depth > MAX_DEPTH) return;
      if (full !== "" && inner !== "" && this.#ignoredBy(full) && !this.#ignored.hasExceptions)
        return;
      found.push({ path: inner, kind, mode: stats.mode & 0o7777 });
      if (kind !== "dir") return;
      for (const name of this.#names(full))
        visit(inner === "" ? name : `${inner}/${name}`, depth + 1);
    };
    visit("", 0);
    return found.length > 0 ? found : undefined;
  }

  archive(path: string): TarOption | false | undefined {
    return this.kindOf(path) === "file" ? archiveIn(`${this.#root}/${path}`) : undefined;
  }

  /** Notes what is left out below a directory and what is not. */
  #survey(dir: string, survey: Survey, depth: number): void {
    if (depth > MAX_DEPTH) {
      throw new InstructionError(`directories are nested more than ${MAX_DEPTH} deep`);
    }
    for (const name of this.#names(dir)) {
      const path = dir === "" ? name : `${dir}/${name}`;
      const pattern = this.#ignoredBy(path);
      const isDir = kindOf(this.#stat(path)) === "dir";
      const below: Survey = pattern === undefined ? survey : { out: new Map(), kept: new Map() };
      if (isDir && (pattern === undefined || this.#ignored.hasExceptions)) {
        this.#survey(path, below, depth + 1);
      }
      if (pattern !== undefined && below.kept.size === 0) {
        survey.out.set(name, { pattern, path });
        continue;
      }
      survey.kept.set(name, path);
      if (below === survey) continue;
      // A directory that is there after all, for what an exception brings back.
      for (const [kept, where] of below.kept) survey.kept.set(kept, where);
      for (const [out, why] of below.out) survey.out.set(out, why);
    }
  }

  #ignoredBy(path: string): IgnorePattern | undefined {
    try {
      return this.#ignored.leavesOut(path);
    } catch (error) {
      throw new InstructionError((error as Error).message, { cause: error });
    }
  }

  #names(dir: string): string[] {
    const path = toBytes(dir === "" ? this.#root : `${this.#root}/${dir}`);
    return readdirSync(path, { encoding: "buffer" })
      .map((name) => fromBytes(name))
      .sort();
  }

  #stat(path: string): Stats | undefined {
    const full = path === "" ? this.#root : `${this.#root}/${path}`;
    return lstatSync(toBytes(full), { throwIfNoEntry: false });
  }
}

interface Survey {
  /** Names left out, each with one path and what leaves it out. */
  readonly out: Map<string, { readonly pattern: IgnorePattern; readonly path: string }>;
  /** The others, each with one path. */
  readonly kept: Map<string, string>;
}

function componentsOf(path: string): string[] {
  return path.split("/").filter((component) => component !== "" && component !== ".");
}

function kindOf(stats: Stats | undefined): PathKind | undefined {
  if (!stats) return undefined;
  if (stats.isDirectory()) return "dir";
  if (stats.isFile()) return "file";
  return stats.isSymbolicLink() ? "symlink" : "other";
}
