/**
 * What is wrong with a template or with rows, and where: it stops a batch before anything is
 * submitted.
 */
import { CommandFailed } from "../../console/index.js";
import { visible } from "../../text/index.js";

/** Where in a file something is; both from 1, the column in bytes. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export class BatchInputError extends CommandFailed {
  constructor(place: Place, problem: string) {
    super(`${visible(place.file)}:${place.line}:${place.column}: ${problem}`);
  }
}

/** The place of a byte in a text of a character for each byte. */
export function placeOf(file: string, text: string, offset: number): Place {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return { file, line, column: offset - before.lastIndexOf("\n") };
}
