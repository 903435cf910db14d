/*
 * A pretty-printer in Oppen's manner: text with break hints in nested boxes, laid out on lines.
 * Headings in build logs and messages about specs were shaped by OCaml's Format module, so this
 * one follows its rules to the letter, the odd ones included:
 *
 * - The margin is 78 columns, a column a byte. No line is indented by more than 68.
 * - A box fits if its text is shorter than the space left on the line when it opens; inside a box
 *   that fits, no hint breaks the line. A box that opens beyond column 68 first moves to a new
 *   line, if the box around it breaks lines at all.
 * - A forced line break does not count in any size and does not make a box unfit.
 * - A hint's size reaches up to and including the next hint of the same box, or the box's end.
 *
 * Tokens wait in a queue until their size is known, or known to be too large, so memory is bound
 * by the longest line rather than by the text.
 */

import { byteLength } from "../../text/index.js";

const MARGIN = 78;
const MAX_INDENT = 68;
const INFINITY = 1_000_000_010;

/**
 * What a box that does not fit does with its hints: `horizontal` never breaks the line, `vertical`
 * always does (also when it would fit), `all-or-none` does, `fill` breaks where the text up to the
 * next hint would not fit, `box` also where that moves the text to the left.
 */
export type BoxKind = "horizontal" | "vertical" | "all-or-none" | "fill" | "box";

type Token =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "hint"; readonly width: number }
  | { readonly type: "open"; readonly indent: number; readonly kind: BoxKind }
  | { readonly type: "close" }
  | { readonly type: "newline" };

/**
 * A token in the queue. While its size is unknown, `size` is minus the total when it was queued.
 */
interface Queued {
  readonly token: Token;
  readonly length: number;
  size: number;
}

interface OpenBox {
  readonly kind: BoxKind | "fits";
  /** Space left of the margin for the lines of this box. */
  readonly width: number;
}

export class Layout {
  readonly #out: string[] = [];
  readonly #queue: Queued[] = [];
  #head = 0; // of the queue, in the array
  /** Hints and boxes whose size is not known yet, with the total when they were queued. */
  #unsized: { readonly total: number; readonly queued: Queued }[] = [];
  readonly #boxes: OpenBox[] = [];
  #leftTotal = 1; // length of all that was laid out …
  #rightTotal = 1; // … and of all that was queued
  #spaceLeft = MARGIN;
  #indent = 0;
  #atLineStart = true;

  constructor() {
    this.open("fill");
  }

  /** Text that is never broken. Line feeds in it are text. */
  text(text: string): this {
    const length = byteLength(text);
    return this.#enqueue({ token: { type: "text", text }, length, size: length });
  }

  /** A place to break the line, else `width` spaces. */
  hint(width = 1): this {
    const queued: Queued = {
      token: { type: "hint", width },
      length: width,
      size: -this.#rightTotal,
    };
    this.#rightTotal += width;
    this.#queue.push(queued);
    this.#setSize("hint");
    this.#unsized.push({ total: this.#rightTotal, queued });
    return this;
  }

  /** A break in any case, to the column where the innermost box began. */
  newline(): this {
    return this.#enqueue({ token: { type: "newline" }, length: 0, size: 0 });
  }

  /** Lines in the box begin `indent` columns after where it opens. */
  open(kind: BoxKind, indent = 0): this {
    const size = -this.#rightTotal;
    const queued: Queued = { token: { type: "open", indent, kind }, length: 0, size };
    this.#queue.push(queued);
    this.#unsized.push({ total: this.#rightTotal, queued });
    return this;
  }

  close(): this {
    this.#queue.push({ token: { type: "close" }, length: 0, size: 0 });
    this.#setSize("hint");
    this.#setSize("open");
    return this;
  }

  /** The lines. All boxes must have been closed. */
  finish(): string {
    this.#rightTotal = INFINITY;
    this.#advance();
    return this.#out.join("");
  }

  #enqueue(queued: Queued): this {
    this.#rightTotal += queued.length;
    this.#queue.push(queued);
    this.#advance();
    return this;
  }

  /** The innermost unsized token now ends, if it is of that type. */
  #setSize(type: "hint" | "open"): void {
    const top = this.#unsized.at(-1);
    if (!top) return;
    if (top.total < this.#leftTotal) {
      this.#unsized = []; // they have been laid out as too large
    } else if (top.queued.token.type === type) {
      top.queued.size += this.#rightTotal;
      this.#unsized.pop();
    }
  }

  /** Lays out what can be decided. */
  #advance(): void {
    while (this.#head < this.#queue.length) {
      const { token, length, size } = this.#queue[this.#head]!;
      const known = size >= 0;
      if (!known && this.#rightTotal - this.#leftTotal < this.#spaceLeft) break;
      this.#head++;
      this.#put(token, known ? size : INFINITY);
      this.#leftTotal += length;
    }
    if (this.#head > 1024 || this.#head === this.#queue.length) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
  }

  #put(token: Token, size: number): void {
    switch (token.type) {
      case "text":
        this.#spaceLeft -= size;
        this.#out.push(token.text);
        this.#atLineStart = false;
        break;
      case "open": {
        if (MARGIN - this.#spaceLeft > MAX_INDENT) this.#moveToNewLine();
        const fits = token.kind !== "vertical" && size <= this.#spaceLeft;
        const width = this.#spaceLeft - token.indent;
        this.#boxes.push({ kind: fits ? "fits" : token.kind, width });
        break;
      }
      case "close":
        this.#boxes.pop();
        break;
      case "newline":
        this.#breakLine(this.#boxes.at(-1)?.width ?? MARGIN);
        break;
      case "hint": {
        const box = this.#boxes.at(-1)!;
        if (this.#breaksAt(box, size)) {
          this.#breakLine(box.width);
        } else {
          this.#spaceLeft -= token.width;
          this.#out.push(" ".repeat(token.width));
        }
        break;
      }
    }
  }

  #breaksAt(box: OpenBox, size: number): boolean {
    switch (box.kind) {
      case "fits":
      case "horizontal":
        return false;
      case "vertical":
      case "all-or-none":
        return true;
      case "fill":
        return size > this.#spaceLeft;
      case "box":
        if (this.#atLineStart) return false;
        return size > this.#spaceLeft || this.#indent > MARGIN - box.width;
    }
  }

  #breakLine(width: number): void {
    this.#indent = Math.min(MAX_INDENT, MARGIN - width);
    this.#spaceLeft = MARGIN - this.#indent;
    this.#out.push("\n", " ".repeat(this.#indent));
    this.#atLineStart = true;
  }

  #moveToNewLine(): void {
    const box = this.#boxes.at(-1);
    if (!box || box.kind === "fits" || box.kind === "horizontal") return;
    if (box.width > this.#spaceLeft) this.#breakLine(box.width);
  }
}
