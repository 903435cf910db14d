/**
 * Text whose lists are filled up to a fixed width, as `show` has them.
 */

/** What is filled ends at this column at the latest. */
export const WIDTH = 77;

/** Lists begin, and are continued, at this column at the latest, from 0. */
const FARTHEST = 68;

/** Columns are bytes of UTF-8, as they are to the pretty-printer whose lines these are. */
export class LineWriter {
  private text = "";
  private column = 0;

  /** Where the next character goes, from 0. */
  get position(): number {
    return this.column;
  }

  /** How many characters were written since the last `take`. */
  get pending(): number {
    return this.text.length;
  }

  /** What was written since the last time. */
  take(): string {
    const { text } = this;
    this.text = "";
    return text;
  }

  /** Writes something without a line end, wherever it ends. */
  write(text: string): void {
    this.text += text;
    this.column += columns(text);
  }

  newLine(indent = 0): void {
    this.column = Math.min(indent, FARTHEST);
    this.text += `\n${" ".repeat(this.column)}`;
  }

  /**
   * To be called where a list begins: it gets a new line if there is little room for it here.
   * Returns whether it did.
   */
  beginList(indent: number): boolean {
    if (this.column <= FARTHEST) return false;
    this.newLine(indent);
    return true;
  }

  /** Whether something can be written here without going beyond the width. */
  fits(text: string): boolean {
    return this.column + columns(text) <= WIDTH;
  }

  /**
   * Separates the next element of a list from the one before: by a space if there is room for the
   * element after it, else by a new line. Returns whether it was a new line.
   */
  separate(element: string, indent: number): boolean {
    if (this.fits(` ${element}`)) {
      this.write(" ");
      return false;
    }
    this.newLine(indent);
    return true;
  }
}

function columns(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // A character beyond U+FFFF has four bytes, and two units.
    count += unit < 0x800 || isSurrogate(unit) ? 1 : 2;
  }
  return count;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xe000;
}
