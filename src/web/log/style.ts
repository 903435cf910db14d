/**
 * How a terminal shows text: colours and attributes, as SGR sequences (`ESC [ … m`, ECMA-48 8.3.117
 * and what xterm has made of it) set them. Numbers from strangers: whatever is in there, the result
 * is a style.
 */

export interface Style {
  /** 0–255: of the palette; from `RGB` on: 24 bits of red, green and blue; -1: the usual one. */
  readonly fg: number;
  readonly bg: number;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly strike: boolean;
  readonly inverse: boolean;
}

/** What is added to a colour of three bytes, to tell it from one of the palette. */
export const RGB = 0x1000000;

export const PLAIN: Style = {
  fg: -1,
  bg: -1,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  strike: false,
  inverse: false,
};

const SWITCHES: Readonly<Record<number, Partial<Style>>> = {
  1: { bold: true },
  2: { dim: true },
  3: { italic: true },
  4: { underline: true },
  7: { inverse: true },
  9: { strike: true },
  21: { underline: true },
  22: { bold: false, dim: false },
  23: { italic: false },
  24: { underline: false },
  27: { inverse: false },
  29: { strike: false },
  39: { fg: -1 },
  49: { bg: -1 },
};

/** Numbers of one sequence that are looked at. */
const MAX_PARAMETERS = 64;

/**
 * The style after a sequence, whose parameters are given as they stand between `ESC [` and `m`.
 * What blinks or is concealed is shown as it is: a log has nothing to hide.
 */
export function afterSgr(before: Style, parameters: string): Style {
  let style = before;
  // A colon joins the parts of one colour: 38:2::R:G:B has an empty part that 38;2;R;G;B has not.
  const words = parameters.split(";", MAX_PARAMETERS);
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word.includes(":")) {
      style = { ...style, ...colonColour(word) };
      continue;
    }
    const code = word === "" ? 0 : Number(word);
    if (code === 38 || code === 48) {
      const { colour, used } = extended(words.slice(at + 1).map(Number));
      at += used;
      if (colour !== undefined) style = { ...style, [code === 38 ? "fg" : "bg"]: colour };
    } else {
      style = code === 0 ? PLAIN : { ...style, ...simple(code) };
    }
  }
  return style;
}

function simple(code: number): Partial<Style> {
  if (code >= 30 && code <= 37) return { fg: code - 30 };
  if (code >= 40 && code <= 47) return { bg: code - 40 };
  if (code >= 90 && code <= 97) return { fg: code - 90 + 8 };
  if (code >= 100 && code <= 107) return { bg: code - 100 + 8 };
  return SWITCHES[code] ?? {};
}

function colonColour(word: string): Partial<Style> {
  const [kind, ...parts] = word.split(":");
  if (kind === "4") return { underline: parts[0] !== "0" };
  if (kind !== "38" && kind !== "48") return {};
  if (parts[0] === "2" && parts.length > 4) parts.splice(1, 1);
  const { colour } = extended(parts.map(Number));
  return colour === undefined ? {} : { [kind === "38" ? "fg" : "bg"]: colour };
}

/** `5;N` or `2;R;G;B`, and how many numbers that took. */
function extended([mode, ...rest]: readonly number[]): { colour?: number; used: number } {
  if (mode === 5) {
    const [index = -1] = rest;
    return isByte(index) ? { colour: index, used: 2 } : { used: 2 };
  }
  if (mode !== 2) return { used: 1 };
  const [red = -1, green = -1, blue = -1] = rest;
  if (![red, green, blue].every(isByte)) return { used: 4 };
  return { colour: RGB + red * 0x10000 + green * 0x100 + blue, used: 4 };
}

function isByte(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 255;
}

export function sameStyle(a: Style, b: Style): boolean {
  return (
    a === b ||
    (a.fg === b.fg &&
      a.bg === b.bg &&
      a.bold === b.bold &&
      a.dim === b.dim &&
      a.italic === b.italic &&
      a.underline === b.underline &&
      a.strike === b.strike &&
      a.inverse === b.inverse)
  );
}

const STEPS = [0, 95, 135, 175, 215, 255];

/**
 * Red, green and blue of a colour that is not among the first sixteen of the palette, which belong
 * to the reader's theme; null for those and for the usual one.
 */
export function rgbOf(colour: number): readonly [number, number, number] | null {
  if (colour >= RGB) {
    return [(colour >> 16) & 0xff, (colour >> 8) & 0xff, colour & 0xff];
  }
  if (colour < 16) return null;
  if (colour >= 232) {
    const grey = 8 + (colour - 232) * 10;
    return [grey, grey, grey];
  }
  const index = colour - 16;
  return [STEPS[Math.floor(index / 36)]!, STEPS[Math.floor(index / 6) % 6]!, STEPS[index % 6]!];
}
