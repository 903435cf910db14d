/**
 * One line of a log as a terminal would show it: runs of text, each with its style and perhaps a
 * link. What comes out is text for text nodes; nothing in a line can become anything else.
 *
 * A line is a row with a cursor: `\r` takes it back to the beginning, `\b` by one, `ESC [ … C/D/G`
 * to somewhere, `ESC [ K` erases; so a progress bar that was written a thousand times over is shown
 * as it was left. Sequences that move to other rows, and all others, are left out. Control
 * characters that mean nothing here, and those that would turn the direction of text around, are
 * shown by a visible sign.
 *
 * Time and memory are linear in the line's length, and no cursor goes beyond `MAX_COLUMNS`.
 */
import { afterSgr, PLAIN, type Style, sameStyle } from "./style.js";

export interface Run {
  readonly text: string;
  readonly style: Style;
  /** A URL of http or https. */
  readonly href?: string | undefined;
}

export interface ShownLine {
  readonly runs: readonly Run[];
  /** For the next line. */
  readonly style: Style;
}

/** Where a cursor can be moved to; text that is longer goes on all the same. */
const MAX_COLUMNS = 4096;
const TAB = 8;

/**
 * A control sequence; an operating system command (links) or another string, with its end; any
 * other escape; a control character. In this order.
 */
const SPECIAL =
  /\x1b\[([0-9:;<=>?]*)[ -/]*([@-~])|\x1b([\]PX^_])([^\x07\x1b\x9c]*)(?:\x07|\x1b\\|\x9c)|\x1b(?:[ -/]*[0-~])?|[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A style and a link that cells share. */
interface Look {
  readonly style: Style;
  readonly href?: string | undefined;
}

interface Cell {
  readonly text: string;
  readonly look: Look;
  /** Erasures from the beginning (`ESC [ 1 K`) that were before it. */
  readonly after: number;
}

const BLANK: Omit<Cell, "after"> = { text: " ", look: { style: PLAIN } };

/** Shows a line, without its line end, that begins in the style in which the last has ended. */
export function showLine(line: string, before: Style = PLAIN): ShownLine {
  const row = new Row(before);
  let at = 0;
  for (const match of line.matchAll(SPECIAL)) {
    row.write(line.slice(at, match.index));
    at = match.index + match[0].length;
    const [whole, parameters = "", final, kind, payload = ""] = match;
    if (final !== undefined) row.control(parameters, final);
    else if (kind !== undefined) row.command(kind, payload);
    else if (whole === "\r") row.to(0);
    else if (whole === "\b") row.to(row.column - 1);
    else if (whole.length === 1 || whole === "\x1b") row.sign(whole);
  }
  row.write(line.slice(at));
  return { runs: row.runs(), style: row.style };
}

/** The text alone. */
export function plainText(line: string): string {
  if (line.search(SPECIAL) < 0) return line;
  return showLine(line)
    .runs.map(({ text }) => text)
    .join("");
}

/** Text that has been written over is kept by cell; most lines have none, and stay in runs. */
class Row {
  readonly #done: Run[] = [];
  #cells: Cell[] | undefined;
  /**
   * What was erased from the beginning: up to a column, as the so-manyth erasure. Each is shorter
   * than those before it, which it would else have taken with it. Cells are erased when they are
   * read: to do it at once takes time for each erasure that a line is full of.
   */
  readonly #erased: { readonly to: number; readonly number: number }[] = [];
  #erasures = 0;
  #look: Look;
  /** Where the next character goes. */
  column = 0;
  /** Of `#done`, while there are no cells. */
  #length = 0;

  constructor(style: Style) {
    this.#look = { style };
  }

  get style(): Style {
    return this.#look.style;
  }

  write(text: string): void {
    if (text === "") return;
    if (this.#cells === undefined) {
      this.#done.push({ text, ...this.#look });
      this.#length += text.length;
      this.column = this.#length;
      return;
    }
    for (const character of text) {
      if (character !== "\t") {
        this.#cells[this.column++] = this.#cell(character);
        continue;
      }
      const end = Math.min(MAX_COLUMNS, this.column + TAB - (this.column % TAB));
      while (this.column < end) this.#cells[this.column++] ??= this.#cell(" ");
    }
  }

  /** A character that has no look: one that shows it. */
  sign(character: string): void {
    const code = character.charCodeAt(0);
    const shown =
      code < 0x20
        ? String.fromCharCode(0x2400 + code)
        : code === 0x7f
          ? "\u2421" // ␡
          : `<${code.toString(16).toUpperCase().padStart(4, "0")}>`;
    const look = this.#look;
    this.#look = { ...look, style: { ...look.style, inverse: !look.style.inverse } };
    this.write(shown);
    this.#look = look;
  }

  to(column: number): void {
    this.#cells ??= this.#split();
    this.column = Math.max(0, Math.min(column, Math.max(MAX_COLUMNS, this.#cells.length)));
  }

  control(parameters: string, final: string): void {
    if (final === "m") {
      // `ESC [ > … m` and the like are other things.
      if (/^[0-9:;]*$/.test(parameters)) {
        this.#look = { ...this.#look, style: afterSgr(this.style, parameters) };
      }
      return;
    }
    const count = Math.min(MAX_COLUMNS, Number.parseInt(parameters, 10) || 0);
    if (final === "C") {
      const to = Math.min(MAX_COLUMNS, this.column + Math.max(1, count));
      // Who is further out already is not taken back.
      this.to(Math.max(this.column, to));
    }
    if (final === "D") this.to(this.column - Math.max(1, count));
    else if (final === "G") this.to(Math.max(1, count) - 1);
    else if (final === "K") this.#erase(count);
  }

  /** An OSC string: `8;PARAMETERS;URL` begins a link, and one without a URL ends it. */
  command(kind: string, payload: string): void {
    const [, url] = (kind === "]" && /^8;[^;]*;(.*)$/.exec(payload)) || [];
    if (url !== undefined) this.#look = { style: this.style, href: safeUrl(url) };
  }

  /** 0: from the cursor to the end; 1: from the beginning to the cursor; 2: all. */
  #erase(what: number): void {
    this.#cells ??= this.#split();
    if (what === 0) this.#cells.length = Math.min(this.#cells.length, this.column);
    else if (what === 2) this.#cells = [];
    else {
      while ((this.#erased.at(-1)?.to ?? Infinity) <= this.column) this.#erased.pop();
      this.#erased.push({ to: this.column, number: ++this.#erasures });
    }
  }

  #cell(text: string, look = this.#look): Cell {
    return { text, look, after: this.#erasures };
  }

  #split(): Cell[] {
    const cells: Cell[] = [];
    for (const { text, ...look } of this.#done) {
      for (const character of text) {
        if (character !== "\t") cells.push(this.#cell(character, look));
        else
          do cells.push(this.#cell(" ", look));
          while (cells.length % TAB !== 0);
      }
    }
    this.column = cells.length;
    return cells;
  }

  runs(): Run[] {
    if (this.#cells === undefined) return this.#done.flatMap(withLinks);
    const runs: { text: string; style: Style; href?: string | undefined }[] = [];
    let last: (typeof runs)[number] | undefined;
    for (const { look, text } of this.#shown(this.#cells)) {
      if (last && last.href === look.href && sameStyle(last.style, look.style)) last.text += text;
      else {
        last = { text, ...look };
        runs.push(last);
      }
    }
    return runs.flatMap(withLinks);
  }

  /** Cells that were never written, and those that were erased since, are blank. */
  *#shown(cells: readonly (Cell | undefined)[]): Generator<Omit<Cell, "after">> {
    // The last erasure that reaches to a cell: the further, the longer ago.
    let reaching = this.#erased.length - 1;
    for (let at = 0; at < cells.length; at++) {
      while (reaching >= 0 && this.#erased[reaching]!.to < at) reaching--;
      const cell = cells[at];
      const isErased = cell && cell.after < (this.#erased[reaching]?.number ?? 0);
      yield cell === undefined || isErased ? BLANK : cell;
    }
  }
}

/** Nothing but the web: no `javascript:`, no `file:`, nothing with credentials in it. */
function safeUrl(text: string): string | undefined {
  if (!/^https?:\/\/[!-~]{1,2000}$/i.test(text)) return undefined;
  const [, authority = ""] = /^https?:\/\/([^/?#]*)/i.exec(text) ?? [];
  return authority === "" || authority.includes("@") ? undefined : text;
}

const URLS = /https?:\/\/[\w.-]+(?::\d+)?(?:[/?#][!-;=?-[\]_a-~]*)?/g;

const PUNCTUATION = ".,:;!?)]}'\"";

/** An expression with `$` would begin anew at each of many dots in the middle. */
function withoutPunctuation(text: string): string {
  let end = text.length;
  while (end > 0 && PUNCTUATION.includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** Cuts out the URLs that stand in plain text. Punctuation at the end of one is the sentence's. */
function withLinks(run: Run): Run[] {
  if (run.href !== undefined || !run.text.includes("://")) return [run];
  const runs: Run[] = [];
  let at = 0;
  for (const match of run.text.matchAll(URLS)) {
    const text = withoutPunctuation(match[0]);
    const href = safeUrl(text);
    if (href === undefined) continue;
    if (match.index > at) runs.push({ ...run, text: run.text.slice(at, match.index) });
    runs.push({ ...run, text, href });
    at = match.index + text.length;
  }
  if (at < run.text.length) runs.push({ ...run, text: run.text.slice(at) });
  return runs;
}
