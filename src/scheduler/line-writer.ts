/**
 * Text whose lists are filled up to a fixed width, as `show` has them.
 */

/** What is filled ends at this column at the latest. */
const WIDTH = 77;

/** Columns are Unicode characters. */
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
    this.text += `\n${" ".repeat(indent)}`;
    this.column = indent;
  }

  /** Whether something can be written here without going beyond the width. */
  fits(text: string): boolean {
    return this.column + columns(text) <= WIDTH;
  }

  /**
   * Separates the next element of a list from the one before: by a space if there is room for the element after it,
   * else by a new line. Returns whether it was a new line.
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
    if (unit >= 0xdc00 && unit < 0xe000) count--;
  }
  return count;
}
