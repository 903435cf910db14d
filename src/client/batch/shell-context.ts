/**
 * Where in a command of the shell a placeholder stands, so that its value can be quoted to be one
 * piece of text there: as a word, or within the quotes that are open. It is careful rather than
 * complete: where it does not know, it says why, and the placeholder is refused.
 *
 * States, in a stack, as substitutions nest: *plain* at the bottom and in each `$(…)`, *single* and
 * *double* within quotes. `${…}`, `$((…))`, backquotes and `$'…'` are skipped as a whole if they
 * are plain and hold no placeholder. What is behind one that is not, behind a here-document or
 * behind `case` in `$(…)`, is not known any more.
 */

export type ShellContext = "word" | "single" | "double";

interface Frame {
  readonly mode: "plain" | "single" | "double";
  /** Parentheses that are open in a `$(…)`. */
  depth: number;
}

const WORD_BEGINS = /[\s;&|(]/;

export class ShellReader {
  private readonly stack: Frame[] = [{ mode: "plain", depth: 0 }];
  private unknown: string | null = null;
  private atWordStart = true;

  /** How a value is to be quoted that comes next; or why that is not known. */
  get context(): ShellContext | { readonly unknown: string } {
    if (this.unknown !== null) return { unknown: this.unknown };
    const { mode } = this.top;
    return mode === "plain" ? "word" : mode;
  }

  /** A value has come, quoted as it should be. */
  value(): void {
    this.atWordStart = false;
  }

  /** More of the command, up to a placeholder or its end. */
  text(text: string): void {
    for (let at = 0; at < text.length && this.unknown === null; ) at = this.step(text, at);
  }

  private get top(): Frame {
    return this.stack.at(-1)!;
  }

  /** Returns where to go on. */
  private step(text: string, at: number): number {
    const { mode } = this.top;
    if (mode === "single") return this.single(text, at);
    const character = text[at]!;
    if (character === "\\") return this.backslash(text, at);
    if (character === "`") return this.skip(text, at, /`[^`\\'"$]*`/y, "in or behind backquotes");
    if (character === "$") return this.dollar(text, at);
    if (character === '"') {
      if (mode === "double") this.stack.pop();
      else this.stack.push({ mode: "double", depth: 0 });
      this.atWordStart = false;
      return at + 1;
    }
    return mode === "double" ? at + 1 : this.plain(text, at);
  }

  private single(text: string, at: number): number {
    const end = text.indexOf("'", at);
    if (end < 0) return text.length;
    this.stack.pop();
    return end + 1;
  }

  private backslash(text: string, at: number): number {
    if (at + 1 === text.length) return this.lost("behind a backslash");
    this.atWordStart = false;
    return at + 2;
  }

  private dollar(text: string, at: number): number {
    this.atWordStart = false;
    if (text.startsWith("$((", at)) {
      return this.skip(text, at, /\$\(\([\w\s$*/%+&|^~<>=!?:,-]*\)\)/y, "in or behind $((…))");
    }
    if (text.startsWith("$(", at)) {
      this.stack.push({ mode: "plain", depth: 0 });
      this.atWordStart = true;
      return at + 2;
    }
    if (text.startsWith("${", at)) {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
      return this.skip(text, at, /\$\{[^{}'"`$\\]*\}/y, "in or behind ${…}");
    }
    if (this.top.mode === "plain" && text.startsWith("$'", at)) {
      return this.skip(text, at, /\$'[^'\\]*'/y, "in or behind $'…'");
    }
    return at + 1;
  }

  private plain(text: string, at: number): number {
    const character = text[at]!;
    const { atWordStart } = this;
    this.atWordStart = WORD_BEGINS.test(character);
    if (character === "'") {
      this.stack.push({ mode: "single", depth: 0 });
    } else if (character === "#" && atWordStart) {
      const end = text.indexOf("\n", at);
      return end < 0 ? this.lost("in a comment") : end;
    } else if (text.startsWith("<<<", at)) {
      return at + 3;
    } else if (text.startsWith("<<", at)) {
      return this.lost("in or behind a here-document");
    } else if (character === "(") {
      this.top.depth++;
    } else if (character === ")") {
      this.close();
    } else if (atWordStart && this.stack.length > 1 && /\bcase\b/y.test(text.slice(at, at + 5))) {
      return this.lost("behind case in $(…)");
    }
    return at + 1;
  }

  private close(): void {
    if (this.top.depth > 0) this.top.depth--;
    else if (this.stack.length > 1) this.stack.pop();
    if (this.top.mode === "double") this.atWordStart = false;
  }

  private skip(text: string, at: number, whole: RegExp, where: string): number {
    whole.lastIndex = at;
    const match = whole.exec(text);
    return match ? at + match[0].length : this.lost(where);
  }

  private lost(where: string): number {
    this.unknown = where;
    return Number.POSITIVE_INFINITY;
  }
}
