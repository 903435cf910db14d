/*
 * `.dockerignore`: the paths of a build context that Docker's builder does not get to see, by the
 * rules of Docker's own pattern matcher (github.com/moby/patternmatcher). Of several patterns that
 * match, the last one decides; a pattern matches what is below, too.
 *
 * Patterns come from strangers. One is matched in time that grows with its length times the path's,
 * whatever it is made of, and for one path there is a limit.
 */

import { posix } from "node:path";

export interface IgnorePattern {
  /** From 1. */
  readonly line: number;
  /** As written. */
  readonly text: string;
  /** Begins with `!`: what it matches is not left out after all. */
  readonly isException: boolean;
  /**
   * The directory or file, `""` for the top, that all it matches is or is in: the path as far as it
   * has no wildcards.
   */
  readonly root: string;
  /**
   * What it matches if that is a name or path without wildcards, at the top or (`**` and a slash
   * before) anywhere.
   */
  readonly literal: { readonly path: string; readonly anywhere: boolean } | undefined;
  /** Whether it matches the path or a directory on the way to it. */
  readonly matches: (path: string, work: Work) => boolean;
}

/** What was done for one path: positions in patterns that were looked at. */
interface Work {
  steps: number;
}

/**
 * Nothing else runs meanwhile. A thousand usual patterns and a path of a thousand characters take
 * half of this.
 */
const MAX_STEPS = 4_000_000;

export class PatternsTooComplex extends Error {
  override readonly name = "PatternsTooComplex";

  constructor() {
    super("The patterns of .dockerignore are too complex; use fewer or simpler ones");
  }
}

export class IgnoreFile {
  readonly patterns: readonly IgnorePattern[];
  readonly hasExceptions: boolean;

  /**
   * The text of a file, or patterns from elsewhere: these are taken as they are, and none is a
   * comment.
   */
  constructor(source: string | readonly string[]) {
    const lines = typeof source === "string" ? linesOf(source) : source;
    this.patterns = lines.flatMap((line, i) => parsePattern(line, i + 1) ?? []);
    this.hasExceptions = this.patterns.some(({ isException }) => isException);
  }

  /**
   * The pattern that leaves the path out; undefined if it is not left out. The path, relative to
   * the context, has neither empty nor `.` components. Throws `PatternsTooComplex`.
   */
  leavesOut(path: string): IgnorePattern | undefined {
    const work = { steps: 0 };
    const last = this.patterns.findLast(({ matches }) => matches(path, work));
    return last?.isException ? undefined : last;
  }

  /**
   * Whether a pattern, of the exceptions or of the others, may match something in the directory:
   * false if none can.
   */
  reachesInto(directory: string, { exceptions }: { readonly exceptions: boolean }): boolean {
    return this.patterns.some(
      ({ isException, root }) =>
        isException === exceptions && (isWithin(root, directory) || isWithin(directory, root)),
    );
  }
}

function isWithin(path: string, directory: string): boolean {
  return directory === "" || path === directory || path.startsWith(`${directory}/`);
}

/** Comments are empty lines, so that numbers stay. */
function linesOf(text: string): string[] {
  const lines = text.replace(/^\ufeff/, "").split("\n");
  return lines.map((line) => (line.startsWith("#") ? "" : line.trim()));
}

const SPECIAL = /[*?[\\]/;

function parsePattern(text: string, number: number): IgnorePattern | undefined {
  const isException = text.startsWith("!");
  const body = isException ? text.slice(1).trim() : text;
  const path = posix.normalize(body).replace(/^\/+|\/+$/g, "");
  // Nothing is out there.
  if (path === "" || path === "." || path === ".." || path.startsWith("../")) return undefined;
  const anywhere = path.startsWith("**/");
  const rest = anywhere ? path.slice(3) : path;
  const literal = SPECIAL.test(rest) ? undefined : { path: rest, anywhere };
  const parts = path.split("/");
  const wild = parts.findIndex((part) => SPECIAL.test(part));
  const root = wild < 0 ? path : parts.slice(0, wild).join("/");
  const matches =
    literal === undefined
      ? matcher(path)
      : (name: string) => {
          const at = `/${name}/`.indexOf(`/${rest}/`);
          return anywhere ? at >= 0 : at === 0;
        };
  return { line: number, text, isException, root, literal, matches };
}

/** What one element of a pattern takes: one character that suits, or any number of them. */
type Element =
  | { readonly takes: "one"; readonly suits: (char: string) => boolean }
  /** `*`: any number, but no slash. */
  | { readonly takes: "name" }
  /** `**` before something else: nothing, or all up to some slash. */
  | { readonly takes: "directories" }
  /** `**` at the end, or before the end of a name: any number of any. */
  | { readonly takes: "rest" };

/**
 * `**` and the end of a name or path. With a wildcard behind it, `**` stands for whole directories
 * again.
 */
const ENDING = /^\*\*[^/*?[\]\\][^*?[\]\\]*$/;

function matcher(pattern: string): IgnorePattern["matches"] {
  const elements = parseElements(pattern);
  return (path, work) => {
    // All positions in the pattern that the path so far can have led to.
    let positions = closure(new Set([0]), elements);
    for (const char of path) {
      if (char === "/" && positions.has(elements.length)) return true;
      work.steps += positions.size;
      if (work.steps > MAX_STEPS) throw new PatternsTooComplex();
      const next = new Set<number>();
      for (const at of positions) {
        const element = elements[at];
        if (element?.takes === "one" && element.suits(char)) next.add(at + 1);
        else if (element?.takes === "name" && char !== "/") next.add(at);
        else if (element?.takes === "rest") next.add(at);
        else if (element?.takes === "directories") {
          next.add(-at - 1); // within a directory's name
        } else if (at < 0) {
          next.add(at);
        }
        if (char === "/" && (at < 0 || element?.takes === "directories")) {
          next.add((at < 0 ? -at - 1 : at) + 1);
        }
      }
      if (next.size === 0) return false;
      positions = closure(next, elements);
    }
    return positions.has(elements.length);
  };
}

/** With the positions behind elements that may take nothing. */
function closure(positions: Set<number>, elements: readonly Element[]): Set<number> {
  for (const at of positions) {
    const takes = elements[at]?.takes;
    if (takes !== undefined && takes !== "one") positions.add(at + 1);
  }
  return positions;
}

function parseElements(pattern: string): Element[] {
  const elements: Element[] = [];
  const one = (suits: (char: string) => boolean) => elements.push({ takes: "one", suits });
  const isEnding = ENDING.test(pattern);
  const chars = [...pattern];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i]!;
    if (char === "*" && chars[i + 1] === "*") {
      i++;
      if (chars[i + 1] === "/") i++;
      elements.push({ takes: isEnding || i + 1 === chars.length ? "rest" : "directories" });
    } else if (char === "*") {
      elements.push({ takes: "name" });
    } else if (char === "?") {
      one((c) => c !== "/");
    } else if (char === "[" && chars.indexOf("]", i + 2) > 0) {
      const end = chars.indexOf("]", i + 2);
      one(characterClass(chars.slice(i + 1, end)));
      i = end;
    } else {
      const literal = char === "\\" && i + 1 < chars.length ? chars[++i]! : char;
      one((c) => c === literal);
    }
  }
  return elements;
}

/** `a-z`, `^xyz`, … */
function characterClass(chars: readonly string[]): (char: string) => boolean {
  const isNegated = chars[0] === "^";
  const ranges: [string, string][] = [];
  for (let i = isNegated ? 1 : 0; i < chars.length; i++) {
    const from = chars[i] === "\\" && i + 1 < chars.length ? chars[++i]! : chars[i]!;
    if (chars[i + 1] === "-" && i + 2 < chars.length) {
      ranges.push([from, chars[i + 2]!]);
      i += 2;
    } else {
      ranges.push([from, from]);
    }
  }
  return (char) => ranges.some(([from, to]) => from <= char && char <= to) !== isNegated;
}
