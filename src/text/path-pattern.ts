/**
 * Paths of files as people ask for them, with wildcards or without: `/out/tile.tif`, `/out/*.tif`,
 * `/src/log-?.[xt]*`.
 *
 * `*` and `?` stand for characters but slashes, `[a-z]` and `[!a-z]` for one, `**` between slashes
 * for any number of directories, and `\` takes its meaning from what follows. As in a shell, what
 * begins with a dot is not meant unless that is said.
 */

/** What matches one name. */
type Token =
  | { readonly kind: "any" }
  | { readonly kind: "one" }
  | { readonly kind: "char"; readonly char: string }
  | {
      readonly kind: "set";
      readonly not: boolean;
      readonly ranges: readonly (readonly [string, string])[];
    };

/**
 * One part of a pattern, between two slashes: the names that it stands for, or any number of
 * directories.
 */
export type PatternPart =
  | { readonly deep: true }
  | { readonly deep: false; matches(name: string): boolean };

export interface PathPattern {
  /** The parts before the first wildcard. */
  readonly fixed: readonly string[];
  /** The parts from there on; empty: it is a plain path. */
  readonly parts: readonly PatternPart[];
}

/** Each `**` of a pattern multiplies the ways in which it can match. */
const MAX_DEEP = 3;

/** Reads a path from the root. Returns in words what is wrong with it, if something is. */
export function readPathPattern(text: string): PathPattern | string {
  if (!text.startsWith("/")) return "is no absolute path";
  if (text.includes("\0")) return "has a NUL";
  const fixed: string[] = [];
  const parts: PatternPart[] = [];
  for (const part of text.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") return "must not have '..'";
    if (part === "**") {
      if (parts.at(-1)?.deep) continue;
      if (parts.filter(({ deep }) => deep).length === MAX_DEEP) return "has too many '**'";
      parts.push({ deep: true });
      continue;
    }
    const tokens = readTokens(part);
    if (tokens === null) return "has a '[' without an end";
    if (parts.length > 0 || tokens.some(({ kind }) => kind !== "char")) {
      parts.push({ deep: false, matches: (name) => matches(tokens, [...name]) });
    } else {
      fixed.push(tokens.map((token) => (token.kind === "char" ? token.char : "")).join(""));
    }
  }
  return { fixed, parts };
}

function readTokens(part: string): Token[] | null {
  const chars = [...part];
  const tokens: Token[] = [];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i]!;
    if (char === "*") {
      if (tokens.at(-1)?.kind !== "any") tokens.push({ kind: "any" });
    } else if (char === "?") {
      tokens.push({ kind: "one" });
    } else if (char === "\\" && i + 1 < chars.length) {
      tokens.push({ kind: "char", char: chars[++i]! });
    } else if (char === "[") {
      const not = chars[i + 1] === "!" || chars[i + 1] === "^";
      const begin = i + (not ? 2 : 1);
      // Right at the beginning, a bracket is one of those that are meant.
      const end = chars.indexOf("]", begin + 1);
      if (end < 0) return null;
      tokens.push({ kind: "set", not, ranges: readRanges(chars.slice(begin, end)) });
      i = end;
    } else {
      tokens.push({ kind: "char", char });
    }
  }
  return tokens;
}

function readRanges(chars: readonly string[]): [string, string][] {
  const ranges: [string, string][] = [];
  for (let i = 0; i < chars.length; i++) {
    const from = chars[i]!;
    const isRange = chars[i + 1] === "-" && i + 2 < chars.length;
    ranges.push([from, isRange ? chars[i + 2]! : from]);
    if (isRange) i += 2;
  }
  return ranges;
}

/** In time that grows with the product of the lengths at most: patterns come from strangers. */
function matches(tokens: readonly Token[], name: readonly string[]): boolean {
  if (name[0] === "." && tokens[0]?.kind !== "char") return false;
  let [token, at] = [0, 0];
  // Where to go on if what follows the last `*` does not match: one character later.
  let star: { token: number; at: number } | null = null;
  while (at < name.length) {
    const next = tokens[token];
    if (next?.kind === "any") {
      star = { token: ++token, at };
    } else if (next && stands(next, name[at]!)) {
      token++;
      at++;
    } else if (star) {
      token = star.token;
      at = ++star.at;
    } else {
      return false;
    }
  }
  while (tokens[token]?.kind === "any") token++;
  return token === tokens.length;
}

function stands(token: Token, char: string): boolean {
  if (token.kind === "char") return token.char === char;
  if (token.kind !== "set") return true;
  return token.ranges.some(([from, to]) => from <= char && char <= to) !== token.not;
}
