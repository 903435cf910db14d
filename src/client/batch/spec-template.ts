/**
 * A spec with placeholders, compiled: it is read as an expression first, and values are put into
 * its atoms. So no value can add an operation, take one away or change which one it is.
 *
 * In the command of a `run`, values are quoted for the shell where they stand, unless a placeholder
 * says `{…|raw}`.
 */
import { type Escape, inAtom, type Piece, type Template } from "../../batch/index.js";
import { isAtom, type List, readSexp, type Sexp, SexpError } from "../../obuilder/language.js";
import { mustQuote, toBytes } from "../../text/index.js";
import type { Columns } from "./columns.js";
import { placeholdersIn, UnknownFilter } from "./placeholders.js";
import { ShellReader } from "./shell-context.js";
import { BatchInputError, placeOf } from "./template-error.js";

export interface SpecTemplate {
  readonly pieces: Template;
  /** Operations, those of nested builds and `from`s among them. */
  readonly steps: number;
  /** How many of them, from the first on, are the same in all rows: they are built once. */
  readonly shared: number;
}

/** What a builder takes if a spec says nothing. */
const DEFAULT_SHELL = ["/bin/bash", "-c"];

/** Shells whose quoting is known. */
const SHELLS = new Set(["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"]);

/** @param spec as it is in the file. Throws `BatchInputError`. */
export function compileSpec(spec: Uint8Array, file: string, columns: Columns): SpecTemplate {
  const text = Buffer.from(spec).toString("latin1");
  try {
    const sexp = readSexp(spec, file);
    return new Compiler(text, file, columns).compile(sexp);
  } catch (error) {
    if (!(error instanceof SexpError)) throw error;
    const { message, position = { line: 1, column: 1 } } = error.locate(spec);
    throw new BatchInputError({ file, ...position }, message);
  }
}

class Compiler {
  private readonly pieces: Piece[] = [];
  private steps = 0;
  private shared = 0;
  private isShared = true;
  private shell: readonly string[] = DEFAULT_SHELL;
  /** Up to where in the text placeholders were found. */
  private cursor = 0;

  constructor(
    private readonly text: string,
    private readonly file: string,
    private readonly columns: Columns,
  ) {}

  compile(sexp: Sexp): SpecTemplate {
    if (isAtom(sexp)) this.atom(sexp, "atom");
    else this.stage(sexp);
    return { pieces: joined(this.pieces), steps: this.steps, shared: this.shared };
  }

  /** `((build NAME SPEC)* (from IMAGE) OP*)` */
  private stage({ items }: List): void {
    const outer = this.shell;
    this.shell = DEFAULT_SHELL;
    this.put("(");
    for (const item of items) {
      if (isAtom(item)) {
        this.atom(item, "atom");
        continue;
      }
      const [head, ...rest] = item.items;
      const name = head && isAtom(head) ? head.atom : "";
      const nested = name === "build" ? rest.at(-1) : undefined;
      if (nested && !isAtom(nested)) {
        this.open(item);
        for (const each of rest.slice(0, -1)) this.item(each);
        this.stage(nested);
        this.put(") ");
      } else {
        this.operation(item, name);
      }
    }
    this.put(") ");
    this.shell = outer;
  }

  private operation(operation: List, name: string): void {
    const before = this.pieces.length;
    this.open(operation);
    for (const item of operation.items.slice(1)) {
      const isCommand =
        name === "run" &&
        !isAtom(item) &&
        item.items[0] !== undefined &&
        isAtom(item.items[0]) &&
        item.items[0].atom === "shell";
      if (isCommand) this.command(item);
      else this.item(item);
    }
    this.put(") ");
    if (name === "shell") this.shell = wordsOf(operation);
    this.steps++;
    this.isShared &&= this.pieces.slice(before).every((piece) => typeof piece === "string");
    if (this.isShared) this.shared++;
  }

  private command(list: List): void {
    this.open(list);
    for (const item of list.items.slice(1)) {
      if (isAtom(item)) this.atom(item, "command");
      else this.item(item);
    }
    this.put(")");
  }

  private item(item: Sexp): void {
    if (isAtom(item)) {
      this.atom(item, "atom");
      return;
    }
    this.open(item);
    for (const each of item.items.slice(1)) this.item(each);
    this.put(") ");
  }

  /**
   * The parenthesis and the first word, which says what the list is, and which is the spec's own.
   */
  private open({ items }: List): void {
    this.put("(");
    const [head] = items;
    if (head && isAtom(head)) this.atom(head, "head");
    else if (head) this.item(head);
  }

  private atom({ atom, at = 0 }: Extract<Sexp, { atom: string }>, where: Place): void {
    this.cursor = Math.max(this.cursor, at);
    const parts = this.partsOf(toBytes(atom).toString("latin1"), at);
    if (!parts.some(({ kind }) => kind === "placeholder")) {
      const bytes = parts.map((part) => (part.kind === "text" ? part.text : "")).join("");
      this.put(`${literal(bytes)} `);
      return;
    }
    const reader = where === "command" ? new ShellReader() : null;
    this.put('"');
    for (const part of parts) {
      if (part.kind === "text") {
        reader?.text(part.text);
        this.put(inAtom(part.text));
        continue;
      }
      const { filter, name, source } = part;
      const fail = (problem: string) => this.fail(source, `${source}: ${problem}`);
      if (where === "head") {
        throw fail("the first word of a list says what the list is, and cannot come from a row");
      }
      const column = this.columns.use(name);
      if (column === null) throw fail(this.columns.unknown(name));
      const writing = filter === "raw" ? "atom" : this.escapeIn(reader, filter === "sh", fail);
      this.columns.useAs(column, writing);
      this.pieces.push({ column, escape: writing });
      this.cursor = Math.max(this.cursor, this.text.indexOf(source, this.cursor) + 1);
      reader?.value();
    }
    this.put('" ');
  }

  private escapeIn(
    reader: ShellReader | null,
    asWord: boolean,
    fail: (problem: string) => BatchInputError,
  ): Escape {
    if (reader === null) return asWord ? "atom word" : "atom";
    if (!isKnownShell(this.shell)) {
      const words = this.shell.map((word) => JSON.stringify(word)).join(" ");
      throw fail(`how (shell ${words}) quotes is not known here: write {…|raw}, and see to it`);
    }
    const { context } = reader;
    if (typeof context !== "string") {
      throw fail(
        `it stands ${context.unknown}, where it cannot be quoted safely: set a variable before, or write {…|raw}`,
      );
    }
    if (asWord && context !== "word") {
      throw fail(`it stands within ${context} quotes, and is quoted for these: leave out |sh`);
    }
    return context === "word" ? "atom word" : context === "single" ? "atom single" : "atom double";
  }

  private partsOf(bytes: string, at: number) {
    try {
      return placeholdersIn(bytes);
    } catch (error) {
      if (!(error instanceof UnknownFilter)) throw error;
      this.cursor = Math.max(this.cursor, at);
      throw this.fail(error.source, `${error.source}: ${error.message}`);
    }
  }

  private fail(source: string, problem: string): BatchInputError {
    const found = this.text.indexOf(source, this.cursor);
    return new BatchInputError(
      placeOf(this.file, this.text, found < 0 ? this.cursor : found),
      problem,
    );
  }

  private put(text: string): void {
    this.pieces.push(text);
  }
}

/** Where an atom stands. */
type Place = "head" | "atom" | "command";

function isKnownShell(words: readonly string[]): boolean {
  const [program = "", ...options] = words;
  const name = program.slice(program.lastIndexOf("/") + 1);
  return SHELLS.has(name) && options.some((word) => /^-[a-z]*c$/.test(word));
}

function wordsOf({ items }: List): string[] {
  return items.slice(1).map((item) => (isAtom(item) ? item.atom : ""));
}

/** An atom of these bytes. */
function literal(bytes: string): string {
  return mustQuote(bytes) ? `"${inAtom(bytes)}"` : bytes;
}

/** With texts that follow each other as one. */
function joined(pieces: readonly Piece[]): Piece[] {
  const out: Piece[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    if (typeof piece === "string" && typeof last === "string") out[out.length - 1] = last + piece;
    else out.push(piece);
  }
  return out;
}
