/*
 * What can be wrong with an S-expression: that it cannot be read, or that it is not what was asked
 * for. Messages are those of the reference (people and scripts search for them); all that helps
 * beyond them (where, what, what instead) is kept in fields, and `explain` puts it into words.
 */

/**
 * The reference's families of errors, which differ in what of the message is fixed:
 * - `Failure`: the message is exact.
 * - `Parse_error`: the message is exact and goes with a position.
 * - `Of_sexp_error`: the message has the exact reason, then the offending expression.
 */
export type SexpErrorKind = "Failure" | "Parse_error" | "Of_sexp_error";

/** Both from 1, the column in bytes. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface SexpErrorDetails {
  /** Byte offset in the text. */
  readonly at?: number | undefined;
  /** The offending expression in machine form. */
  readonly about?: string | undefined;
  /** The form that was expected instead, as in `(workdir PATH)`. */
  readonly expected?: string | undefined;
}

export class SexpError extends Error {
  override readonly name = "SexpError";
  readonly kind: SexpErrorKind;
  readonly at: number | undefined;
  readonly about: string | undefined;
  expected: string | undefined;
  position: Position | undefined;

  constructor(kind: SexpErrorKind, message: string, details: SexpErrorDetails = {}) {
    super(message);
    this.kind = kind;
    this.at = details.at;
    this.about = details.about;
    this.expected = details.expected;
  }

  /** Works out `position` from the text that `at` is an offset in. */
  locate(text: Uint8Array): this {
    if (this.at !== undefined) this.position = positionAt(text, this.at);
    return this;
  }

  /**
   * The message with all that is known around it, one thing a line:
   *
   *     Invalid spec item: (run (shell x))
   *       at line 3, column 2 of FILE
   *       expected: (build NAME SPEC) or (from IMAGE)
   */
  explain(file?: string): string {
    const lines = [this.message];
    if (this.position) {
      const { line, column } = this.position;
      lines.push(`  at line ${line}, column ${column}${file === undefined ? "" : ` of ${file}`}`);
    }
    if (this.expected !== undefined) lines.push(`  expected: ${this.expected}`);
    return lines.join("\n");
  }
}

const LF = 0x0a;

function positionAt(text: Uint8Array, at: number): Position {
  let line = 1;
  let lineStart = 0;
  for (;;) {
    const newline = text.indexOf(LF, lineStart);
    if (newline < 0 || newline >= at) break;
    line++;
    lineStart = newline + 1;
  }
  return { line, column: at - lineStart + 1 };
}
