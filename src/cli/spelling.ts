/**
 * Words in error texts: how alternatives are listed, and which known word an unknown one may have
 * been meant for.
 */

export function quoted(word: string): string {
  return `'${word}'`;
}

/** `'a', 'b' or 'c'`; `either 'a' or 'b'`. */
export function alternatives(words: readonly string[]): string {
  const all = words.map(quoted);
  const last = all.pop();
  if (all.length === 0) return String(last);
  return `${all.length === 1 ? "either " : ""}${all.join(", ")} or ${last}`;
}

/** `, did you mean 'x'?` for near misses, else a full stop. */
export function hint(word: string, known: readonly string[]): string {
  // In a short word two changes leave nothing of it.
  const changes = word.length <= 4 ? 1 : 2;
  const near = known.filter((candidate) => distance(word, candidate) <= changes);
  return near.length === 0 ? "." : `, did you mean ${alternatives(near)}?`;
}

/**
 * Number of single-character insertions, deletions, replacements and swaps of neighbours from `a`
 * to `b`.
 */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous: number[] = [];
  let current = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    [before, previous, current] = [previous, current, [i]];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current[j] = Math.min(previous[j]! + 1, current[j - 1]! + 1, replaced);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        current[j] = Math.min(current[j]!, before[j - 2]! + 1);
      }
    }
  }
  return current[b.length]!;
}
