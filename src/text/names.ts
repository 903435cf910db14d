/**
 * Names of workers, clients and hints: their order.
 *
 * The order everywhere in the scheduler: that of UTF-8 bytes, as SQLite and the reference sort.
 * JavaScript's own order of strings differs where characters beyond U+FFFF meet those from U+E000
 * on.
 */

/**
 * Negative, zero or positive, for `a` before, equal to or after `b` in the order of their UTF-8
 * bytes.
 */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return byteRank(x) - byteRank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for characters that come after all others. */
function byteRank(codeUnit: number): number {
  return codeUnit >= 0xd800 && codeUnit < 0xe000 ? codeUnit + 0x10000 : codeUnit;
}

/** Where `name` is in the sorted list, or, as `-1 - index`, where it would have to be put. */
export function findName(sorted: readonly string[], name: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareNames(sorted[middle]!, name);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return -1 - low;
}
