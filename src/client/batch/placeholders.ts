/**
 * Placeholders in a text. The rule in one sentence: `{name}` and `{name|filter}` are placeholders
 * unless a `$` stands right before them, `{{` stands for `{` and the `}}` that closes it for `}`,
 * and every other brace is itself.
 *
 * A name is a letter or `_`, then letters, digits, `_` and `-`. So braces of the shell (`${X}`,
 * `{a,b}`, `{1..5}`), of awk (`{print $1}`) and of JSON (`{"a": 1}`) are themselves.
 */

export type Part =
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "placeholder";
      readonly name: string;
      readonly filter: Filter | null;
      /** As it is written. */
      readonly source: string;
    };

/** `sh`: as a word for the shell; `raw`: without the quoting that is usual where it stands. */
export type Filter = "sh" | "raw";

/** A placeholder with a filter that there is none of. */
export class UnknownFilter extends Error {
  constructor(
    readonly source: string,
    filter: string,
  ) {
    super(`there is no filter "${filter}": there are {…|sh} and {…|raw}`);
  }
}

const BRACES = /\{\{|\}\}|(?<!\$)\{([^\s{}|]+)(?:\|([^\s{}|]*))?\}/g;
const NAME = /^[\p{L}_][\p{L}\p{N}_-]*$/u;

/**
 * @param text bytes, a character for each; so are the parts, but for names. Throws `UnknownFilter`.
 */
export function placeholdersIn(text: string): Part[] {
  const parts: Part[] = [];
  let literal = "";
  let open = 0;
  let end = 0;
  const flush = (): void => {
    if (literal !== "") parts.push({ kind: "text", text: literal });
    literal = "";
  };
  for (const match of text.matchAll(BRACES)) {
    const [source, bytes, filter] = match;
    literal += text.slice(end, match.index);
    end = match.index + source.length;
    if (source === "{{") {
      open++;
      literal += "{";
    } else if (source === "}}") {
      literal += open > 0 ? "}" : "}}";
      open = Math.max(0, open - 1);
    } else {
      const name = Buffer.from(bytes!, "latin1").toString();
      if (NAME.test(name)) {
        flush();
        parts.push({ kind: "placeholder", name, filter: filterOf(source, filter), source });
      } else {
        literal += source;
      }
    }
  }
  literal += text.slice(end);
  flush();
  return parts;
}

function filterOf(source: string, filter: string | undefined): Filter | null {
  if (filter === undefined) return null;
  if (filter === "sh" || filter === "raw") return filter;
  throw new UnknownFilter(source, filter);
}
