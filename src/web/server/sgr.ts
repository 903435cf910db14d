/**
 * Colours of a terminal: what the escape sequences in a log have switched on so far, so that its
 * lines can be shown from anywhere on. Of ECMA-48 these are the sequences `ESC [ … m` ("SGR");
 * others are not looked at.
 */

/** Characters of a sequence; what is longer is none. */
export const MAX_SEQUENCE = 64;

/** What a code switches on, and which code switches that off again. */
const FLAGS: readonly (readonly [on: number, off: number])[] = [
  [1, 22],
  [2, 22],
  [3, 23],
  [4, 24],
  [5, 25],
  [7, 27],
  [8, 28],
  [9, 29],
];

export class Sgr {
  private flags = 0;
  private foreground = "";
  private background = "";

  /** @param text what `toString` has given */
  static of(text: string): Sgr {
    const sgr = new Sgr();
    if (text !== "") sgr.apply(text.slice(2, -1));
    return sgr;
  }

  /** @param codes what is between `ESC [` and `m` */
  apply(codes: string): void {
    const list = codes.split(/[;:]/);
    for (let index = 0; index < list.length; index++) {
      const code = Number(list[index]);
      if (code === 38 || code === 48) {
        const length = list[index + 1] === "5" ? 3 : list[index + 1] === "2" ? 5 : 1;
        const color = length === 1 ? "" : list.slice(index, index + length).join(";");
        if (code === 38) this.foreground = color;
        else this.background = color;
        index += length - 1;
      } else {
        this.one(code);
      }
    }
  }

  /** A sequence that switches the same on; "" if nothing is. */
  toString(): string {
    const codes = FLAGS.flatMap(([on], bit) => (this.flags & (1 << bit) ? [String(on)] : []));
    if (this.foreground !== "") codes.push(this.foreground);
    if (this.background !== "") codes.push(this.background);
    return codes.length === 0 ? "" : `\u001b[${codes.join(";")}m`;
  }

  private one(code: number): void {
    if (code === 0) {
      this.flags = 0;
      this.foreground = "";
      this.background = "";
    } else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) {
      this.foreground = String(code);
    } else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) {
      this.background = String(code);
    } else if (code === 39) {
      this.foreground = "";
    } else if (code === 49) {
      this.background = "";
    } else {
      for (const [bit, [on, off]] of FLAGS.entries()) {
        if (code === on) this.flags |= 1 << bit;
        else if (code === off) this.flags &= ~(1 << bit);
      }
    }
  }
}

const SEQUENCE = /\u001b\[([0-9;:]{0,62})m/g;

/** Applies all sequences in a text. */
export function applyAll(sgr: Sgr, text: string): void {
  for (const [, codes] of text.matchAll(SEQUENCE)) sgr.apply(codes!);
}

const ESC = 0x1b;
const M = 0x6d;

/** The same of bytes from `from` to `to`. */
export function applyBytes(sgr: Sgr, bytes: Buffer, from: number, to: number): void {
  // Nothing is looked for behind `to`: this is called for each of many lines of a block.
  const part = bytes.subarray(from, to);
  for (let at = part.indexOf(ESC); at >= 0; at = part.indexOf(ESC, at + 1)) {
    if (part[at + 1] !== 0x5b) continue;
    let end = at + 2;
    while (end - at < MAX_SEQUENCE && isCode(part[end])) end++;
    if (part[end] === M) sgr.apply(part.toString("latin1", at + 2, end));
  }
}

/** Digits, `:` and `;`. */
function isCode(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x3b;
}
