/**
 * How headings, notes and exceptions look in a job's log. People and scripts know these colours and
 * words, which are the reference's.
 */
import { SexpError } from "../../obuilder/index.js";
import { quoted } from "../../text/index.js";

/** A step's heading: a blank line, then the text in bold blue. */
export function heading(text: string): string {
  return `\n\u001b[01;34m${text}\u001b[0m`;
}

/** What the builder did, in dim magenta, with the time. */
export function note(text: string, time = new Date()): string {
  return `\u001b[01;2m\u001b[01;35m${timestamp(time)} ${text}\u001b[0m`;
}

/** `YYYY-MM-DD HH:MM.SS`, in UTC: readers of a job's log are rarely in the worker's time zone. */
function timestamp(time: Date): string {
  const [date, clock] = time.toISOString().split("T") as [string, string];
  return `${date} ${clock.slice(0, 5)}.${clock.slice(6, 8)}`;
}

/**
 * An error the way that OCaml prints exceptions: `Failure("…")`. For a spec that cannot be read,
 * what is known about the place follows.
 */
export function exceptionText(error: unknown): string {
  if (error instanceof SexpError) {
    const place = error.explain().slice(error.message.length);
    return `${error.kind}(${quoted(cut(error.message))})${cut(place)}`;
  }
  const message = error instanceof Error ? error.message : String(error);
  return `Failure(${quoted(cut(message))})`;
}

/** Characters of a message, which may have all of a spec in it. */
const MAX_MESSAGE = 64 * 1024;

function cut(text: string): string {
  return text.length <= MAX_MESSAGE ? text : `${text.slice(0, MAX_MESSAGE)}…`;
}
