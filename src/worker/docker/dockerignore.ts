/**
 * `.dockerignore`: which files of a context are not sent to the engine.
 *
 * The rules are those of moby's `patternmatcher`: the last pattern that matches a path, or a directory it is in, decides;
 * `!` makes it an exception. Patterns come from strangers, so they are matched by tracking all positions a match could
 * be at: a match costs (length of the pattern) × (length of the path), never more.
 * https://docs.docker.com/build/concepts/context/#syntax
 */
import { posix } from "node:path";
import { JobFailed } from "../failure.js";

type Token =
  /** This character. */
  | { readonly kind: "one"; readonly accepts: (char: string) => boolean }
  /** Any number of characters; those other than `/` unless `deep`. */
  | { readonly kind: "many"; readonly deep: boolean }
  /** Nothing; the token after it may be left out. */
  | { readonly kind: "optional" }
  /** Anything that ends with a `/`. */
  | { readonly kind: "directories" };

interface Rule {
  readonly tokens: readonly Token[];
  readonly exception: boolean;
}

/**
 * How many positions may be looked at for one path. Other work of the process waits meanwhile; a thousand rules of the usual
 * kind and the longest path there can be take a fraction of this.
 */
const MAX_STEPS = 20_000_000;

export class DockerIgnore {
  readonly #rules: readonly Rule[];
  /** Whether something in an ignored directory may be needed after all. */
  readonly hasExceptions: boolean;

  constructor(text: string) {
    this.#rules = text
      .replace(/^\ufeff/, "")
      .split(/\r?\n/)
      .flatMap(parseRule);
    this.hasExceptions = this.#rules.some(({ exception }) => exception);
  }

  /** Whether the file or directory at `path`, relative to the context and without `.` segments, is left out. Throws `JobFailed`. */
  ignores(path: string): boolean {
    let ignored = false;
    const work = { steps: 0 };
    for (const { tokens, exception } of this.#rules) {
      if (ignored === exception && matches(tokens, path, work)) {
        ignored = !exception;
      }
    }
    return ignored;
  }
}

function parseRule(line: string): Rule[] {
  if (line.startsWith("#")) return [];
  let pattern = line.trim();
  const exception = pattern.startsWith("!");
  if (exception) pattern = pattern.slice(1).trim();
  if (pattern === "") return [];
  pattern = posix.normalize(pattern).replace(/^\/+|\/+$/g, "");
  return pattern === "" || pattern === "." ? [] : [{ tokens: tokenize(pattern), exception }];
}

function tokenize(pattern: string): Token[] {
  const tokens: Token[] = [];
  const literal = (char: string) => tokens.push({ kind: "one", accepts: (c) => c === char });
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!;
    if (pattern.startsWith("**", i)) {
      i++;
      if (pattern[i + 1] === "/") {
        i++;
        tokens.push({ kind: "optional" }, { kind: "directories" });
      } else {
        tokens.push({ kind: "many", deep: true });
      }
    } else if (char === "*") {
      tokens.push({ kind: "many", deep: false });
    } else if (char === "?") {
      tokens.push({ kind: "one", accepts: (c) => c !== "/" });
    } else if (char === "[") {
      const end = pattern.indexOf("]", i + 2);
      if (end < 0) {
        literal(char);
      } else {
        tokens.push({ kind: "one", accepts: charClass(pattern.slice(i + 1, end)) });
        i = end;
      }
    } else {
      literal(char === "\\" && i + 1 < pattern.length ? pattern[++i]! : char);
    }
  }
  return tokens;
}

/** The characters of `[…]`: single ones and ranges, all others after `^`. */
function charClass(body: string): (char: string) => boolean {
  const negated = body.startsWith("^");
  const ranges = [...(negated ? body.slice(1) : body).matchAll(/\\?(.)(?:-\\?(.))?/gs)].map(
    ([, from, to]) => [from!, to ?? from!] as const,
  );
  return (char) => ranges.some(([from, to]) => char >= from && char <= to) !== negated;
}

/** Whether the tokens match the whole of `path`, or of the path of a directory it is in. */
function matches(tokens: readonly Token[], path: string, work: { steps: number }): boolean {
  /** The tokens that a match may be in front of. */
  let at = new Set<number>([0]);
  skipEmpty(tokens, at);
  for (const char of path) {
    if (char === "/" && at.has(tokens.length)) return true;
    work.steps += at.size;
    if (work.steps > MAX_STEPS)
      throw new JobFailed("The patterns of .dockerignore are too complex");
    const next = new Set<number>();
    for (const index of at) {
      const token = tokens[index];
      if (token === undefined) continue;
      if (token.kind === "one") {
        if (token.accepts(char)) next.add(index + 1);
      } else if (token.kind === "directories") {
        next.add(index);
        if (char === "/") next.add(index + 1);
      } else if (token.kind === "many" && (token.deep || char !== "/")) {
        next.add(index);
      }
    }
    if (next.size === 0) return false;
    skipEmpty(tokens, next);
    at = next;
  }
  return at.has(tokens.length);
}

/** Adds what can be reached without a character. A set is visited in the order of insertion, additions included. */
function skipEmpty(tokens: readonly Token[], at: Set<number>): void {
  for (const index of at) {
    const kind = tokens[index]?.kind;
    if (kind === "many" || kind === "optional") at.add(index + 1);
    if (kind === "optional") at.add(index + 2);
  }
}
