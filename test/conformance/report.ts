/**
 * What the drivers print: a line `PASS NAME` or `FAIL NAME` for each case, after the latter how it
 * differs.
 */

export interface Verdict {
  readonly name: string;
  /** How the outcome differs from what was expected; nothing if it does not. */
  readonly differences: readonly string[];
}

/** Prints the verdict and passes on whether it is a good one. */
export function report({ name, differences }: Verdict): boolean {
  console.log(`${differences.length === 0 ? "PASS" : "FAIL"} ${name}`);
  for (const line of differences) console.log(`  ${line}`);
  return differences.length === 0;
}

/** Differences in one case after which the rest is not listed. */
const MAX_DIFFERENCES = 20;

/**
 * Where two JSON values differ: `steps[2].id: expected "…", got "…"`. Properties of `actual` that
 * are not expected do not count.
 */
export function differences(expected: unknown, actual: unknown, path = ""): string[] {
  const found = compare(expected, actual, path);
  if (found.length <= MAX_DIFFERENCES) return found;
  return [...found.slice(0, MAX_DIFFERENCES), `and ${found.length - MAX_DIFFERENCES} more`];
}

function compare(expected: unknown, actual: unknown, path: string): string[] {
  if (Array.isArray(expected) && Array.isArray(actual)) {
    const length = Math.max(expected.length, actual.length);
    return Array.from({ length }, (_, i) =>
      compare(expected[i], actual[i], `${path}[${i}]`),
    ).flat();
  }
  if (isObject(expected) && isObject(actual)) {
    return Object.keys(expected).flatMap((key) =>
      compare(expected[key], actual[key], path === "" ? key : `${path}.${key}`),
    );
  }
  if (Object.is(expected, actual)) return [];
  return [`${path}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
