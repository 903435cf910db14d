/**
 * The builder's notes about layers in short form, for terminals: `using "1ec47f0a3c5d…" from cache`
 * fits where the id as a whole takes a line and a half. All else of a log is passed on as it is.
 */

/** How a note begins: dim, magenta. Only such lines are looked at. */
const NOTE = Buffer.from("\u001b[01;2m\u001b[01;35m");

/** A note that is longer than this is none. */
const MAX_NOTE = 512;

const ID = /"([0-9a-f]{12})[0-9a-f]{52}"/g;

/** A note without its colours. */
export function shortNote(note: string): string {
  return note.replace(ID, '"$1…"');
}

const NEWLINE = 10;

export class LineShortener {
  /** The beginning of a note, whose end is yet to come. */
  private held = Buffer.alloc(0);
  private atStart = true;

  /** What can be shown of the log so far. */
  push(data: Uint8Array): Uint8Array {
    const log = Buffer.concat([this.held, data]);
    this.held = Buffer.alloc(0);
    const shown: Uint8Array[] = [];
    let from = 0;
    while (from < log.length) {
      const newline = log.indexOf(NEWLINE, from);
      const line = log.subarray(from, newline < 0 ? log.length : newline + 1);
      if (newline < 0 && this.atStart && mayBeNote(line)) {
        this.held = Buffer.from(line);
        break;
      }
      shown.push(
        this.atStart && line.length <= MAX_NOTE && startsWith(line, NOTE) ? short(line) : line,
      );
      this.atStart = newline >= 0;
      from += line.length;
    }
    return Buffer.concat(shown);
  }

  /** What is left when the log ends. */
  end(): Uint8Array {
    const rest = this.held;
    this.held = Buffer.alloc(0);
    return rest;
  }
}

/** Whether a line without its end could become a note. */
function mayBeNote(line: Buffer): boolean {
  const common = Math.min(line.length, NOTE.length);
  return line.length <= MAX_NOTE && startsWith(line, NOTE.subarray(0, common));
}

function startsWith(line: Buffer, begin: Uint8Array): boolean {
  return line.length >= begin.length && line.subarray(0, begin.length).equals(begin);
}

function short(line: Buffer): Uint8Array {
  return Buffer.from(
    shortNote(line.toString("latin1")).replaceAll("…", "\u00e2\u0080\u00a6"),
    "latin1",
  );
}
