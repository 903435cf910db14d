/*
 * Integers as OCaml reads them, which is how specs write user and group numbers.
 */

const BITS = 63;
const LITERAL =
  /^([-+]?)(0[xX](?=[0-9a-fA-F])|0[oO](?=[0-7])|0[bB](?=[01])|0[uU](?=[0-9])|(?=[0-9]))([0-9a-fA-F_]+)$/;
const DIGITS: Record<string, RegExp> = {
  "": /^[0-9]+$/,
  "0x": /^[0-9a-f]+$/i,
  "0o": /^[0-7]+$/,
  "0b": /^[01]+$/,
  "0u": /^[0-9]+$/,
};

/**
 * The value of an integer literal; undefined if it is none or out of range.
 *
 * A sign, a base (`0x`, `0o`, `0b`, or `0u` for unsigned decimal) and digits with underscores
 * behind the first one. Decimals must be within ±2^62 (with +2^62 outside); with a base, up to 63
 * bits are taken as they are, so `0x7fffffffffffffff` is -1.
 */
export function parseOcamlInt(text: string): bigint | undefined {
  const match = LITERAL.exec(text);
  if (!match) return undefined;
  const base = match[2]!.toLowerCase();
  const digits = match[3]!.replaceAll("_", "").replace(/^0+(?=.)/, "");
  if (digits.length > BITS || !DIGITS[base]!.test(digits)) return undefined;
  const magnitude = BigInt(base === "" || base === "0u" ? digits : base + digits);
  const negative = match[1] === "-";
  if (base !== "") {
    if (magnitude >= 1n << BigInt(BITS)) return undefined;
    return BigInt.asIntN(BITS, negative ? -magnitude : magnitude);
  }
  const limit = 1n << BigInt(BITS - 1);
  if (negative ? magnitude > limit : magnitude >= limit) return undefined;
  return negative ? -magnitude : magnitude;
}
