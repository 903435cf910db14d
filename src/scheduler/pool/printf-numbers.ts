/** Numbers as `show` writes them, digit for digit as C's printf does. */

/** From here on every floating-point number is whole. */
const ALL_WHOLE = 2 ** 52;

/** `%.0f`: the nearest whole number, halves to the even one, the sign kept even of zero. */
export function wholeNumber(x: number): string {
  if (Number.isNaN(x)) return "nan";
  const sign = x < 0 || Object.is(x, -0) ? "-" : "";
  const size = Math.abs(x);
  if (size === Number.POSITIVE_INFINITY) return `${sign}inf`;
  if (size >= ALL_WHOLE) return `${sign}${BigInt(size)}`;
  const below = Math.floor(size);
  const rest = size - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 === 1);
  return `${sign}${up ? below + 1 : below}`;
}

/** Seconds as `119s`, or as whole minutes, `2m`, from 120 s (before rounding) on. */
export function roughDuration(seconds: number): string {
  return seconds < 120 ? `${wholeNumber(seconds)}s` : `${wholeNumber(seconds / 60)}m`;
}
