/**
 * Where a scheduler keeps the files of jobs' results, and how long: how that is written on its
 * command line.
 */
import { described, directory, list, type Parser, ValueError } from "../cli/index.js";
import { readDuration, readSize } from "../text/index.js";

/** `dir:PATH`. */
export const artefactPlace: Parser<string> = described(
  (text) => {
    const [, path] = /^dir:(.+)$/s.exec(text) ?? [];
    if (path === undefined) throw new ValueError(`invalid value '${text}', expected dir:PATH`);
    return directory(path);
  },
  { meaning: "dir:PATH, a directory; made if it does not exist" },
);

/** What is kept: for so many seconds, and so many bytes together. */
export interface Keeping {
  readonly age?: number;
  readonly size?: number;
}

const limit: Parser<Keeping> = (text) => {
  const age = /^\d+$/.test(text) ? null : readDuration(text);
  if (age !== null) return { age };
  const size = readSize(text, 1);
  if (size === null) throw new ValueError(`invalid value '${text}', expected a time or a size`);
  return { size };
};

/** A time, a size, or both: `7d`, `100G`, `7d,100G`. */
export const keeping: Parser<Keeping> = described(
  (text) => Object.assign({}, ...list(limit)(text)),
  { meaning: "a time, a size (of all together), or both: 7d,100G" },
);
