/*
 * The patterns of COPY and ADD: those of Go's `filepath.Match`, where `*` and `?` stop at slashes
 * and match names that begin with a dot. Matched in time that grows with the pattern's length times
 * the name's.
 */

type Element =
  | { readonly takes: "one"; readonly suits: (char: string) => boolean }
  | { readonly takes: "many" };

/** Whether a path is a pattern, and not a name alone. */
export function isPattern(path: string): boolean {
  return /[*?[]/.test(path);
}

/**
 * Whether a name, without slashes, matches a part of a pattern. A part that is malformed matches
 * nothing.
 */
export function matchesName(pattern: string, name: string): boolean {
  const elements = parse(pattern);
  if (!elements) return false;
  const chars = [...name];
  let at = 0;
  let i = 0;
  // Where the last `*` stands, and how far it has gone.
  let star = -1;
  let eaten = 0;
  while (i < chars.length) {
    const element = elements[at];
    if (element?.takes === "many") {
      star = at++;
      eaten = i;
    } else if (element?.takes === "one" && element.suits(chars[i]!)) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++eaten;
    } else {
      return false;
    }
  }
  return elements.slice(at).every(({ takes }) => takes === "many");
}

/** Undefined if a bracket is not closed or an escape has nothing behind it. */
function parse(pattern: string): Element[] | undefined {
  const elements: Element[] = [];
  const chars = [...pattern];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i]!;
    if (char === "*") {
      elements.push({ takes: "many" });
    } else if (char === "?") {
      elements.push({ takes: "one", suits: () => true });
    } else if (char === "[") {
      const end = chars.indexOf("]", i + 2);
      if (end < 0) return undefined;
      elements.push({ takes: "one", suits: characterClass(chars.slice(i + 1, end)) });
      i = end;
    } else {
      const literal = char === "\\" ? chars[++i] : char;
      if (literal === undefined) return undefined;
      elements.push({ takes: "one", suits: (c) => c === literal });
    }
  }
  return elements;
}

function characterClass(chars: readonly string[]): (char: string) => boolean {
  const isNegated = chars[0] === "^";
  const ranges: [string, string][] = [];
  for (let i = isNegated ? 1 : 0; i < chars.length; i++) {
    const from = chars[i] === "\\" ? chars[++i]! : chars[i]!;
    const isRange = chars[i + 1] === "-" && i + 2 < chars.length;
    ranges.push([from, isRange ? chars[i + 2]! : from]);
    if (isRange) i += 2;
  }
  return (char) => ranges.some(([from, to]) => from <= char && char <= to) !== isNegated;
}

/**
 * The same pattern as a word of a shell; another one for names that begin with a dot, which a
 * shell's `*` does not match.
 */
export function shellPatterns(pattern: string): string[] {
  const slash = pattern.lastIndexOf("/") + 1;
  const [dir, name] = [shellPattern(pattern.slice(0, slash)), pattern.slice(slash)];
  const plain = dir + shellPattern(name);
  if (!/^[*?]/.test(name)) return [plain];
  return [plain, `${dir}.[!.]${shellPattern(name.startsWith("?") ? name.slice(1) : name)}`];
}

function shellPattern(pattern: string): string {
  return pattern
    .replace(/\[\^/g, "[!")
    .replace(/\\.|[^\w./*?[\]!-]/gs, (text) =>
      text.startsWith("\\") && text.length > 1 ? text : `\\${text}`,
    );
}
