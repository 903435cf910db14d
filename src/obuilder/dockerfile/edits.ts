/*
 * `${NAME#PATTERN}`, `${NAME%PATTERN}` and `${NAME/PATTERN/TEXT}`: a variable's value without what
 * a shell's pattern matches, or with something else in its place. Patterns have `*` and `?` and
 * nothing else.
 */

import { InstructionError } from "./errors.js";

/** More steps of one match than anybody means. */
const MAX_STEPS = 10_000_000;

export function edit(
  value: string,
  operator: string,
  { pattern, replacement }: { readonly pattern: string; readonly replacement: string },
): string {
  const matcher = new Matcher(pattern, value);
  const isGreedy = operator.length === 2;
  if (operator.startsWith("#")) {
    const end = matcher.endFrom(0, isGreedy);
    return end === undefined ? value : value.slice(end);
  }
  if (operator.startsWith("%")) {
    for (let i = 0; i <= value.length; i++) {
      const start = isGreedy ? i : value.length - i;
      if (matcher.matches(start)) return value.slice(0, start);
    }
    return value;
  }
  let out = "";
  let at = 0;
  while (at < value.length) {
    const end = matcher.endFrom(at, true);
    if (end === undefined || end === at) {
      out += value[at++];
      continue;
    }
    out += replacement;
    at = end;
    if (!isGreedy) break;
  }
  return out + value.slice(at);
}

class Matcher {
  readonly #pattern: { readonly char: string; readonly isLiteral: boolean }[] = [];
  readonly #value: string;
  #steps = 0;

  constructor(pattern: string, value: string) {
    this.#value = value;
    for (let i = 0; i < pattern.length; i++) {
      const isEscaped = pattern[i] === "\\" && i + 1 < pattern.length;
      const char = isEscaped ? pattern[++i]! : pattern[i]!;
      this.#pattern.push({ char, isLiteral: isEscaped || !"*?".includes(char) });
    }
  }

  /** Where a match that begins at `start` ends, the first or the last such place. */
  endFrom(start: number, isGreedy: boolean): number | undefined {
    const ends = this.#ends(start);
    return isGreedy ? ends.at(-1) : ends[0];
  }

  /** Whether the rest from `start` on matches. */
  matches(start: number): boolean {
    return this.#ends(start).at(-1) === this.#value.length;
  }

  #ends(start: number): number[] {
    let ends = new Set([start]);
    for (const { char, isLiteral } of this.#pattern) {
      const next = new Set<number>();
      for (const end of ends) {
        if (!isLiteral && char === "*") {
          for (let i = end; i <= this.#value.length && !next.has(i); i++) next.add(i);
        } else if (end < this.#value.length && (!isLiteral || this.#value[end] === char)) {
          next.add(end + 1);
        }
      }
      this.#steps += next.size + 1;
      if (this.#steps > MAX_STEPS)
        throw new InstructionError("a pattern of a substitution is too complex");
      ends = next;
    }
    return [...ends].sort((a, b) => a - b);
  }
}
