/**
 * What option values mean: parsers from text, each with an error that says what was expected.
 *
 * A parser throws `ValueError`; `option()` in option.ts prefixes the option's name, so that a user
 * reads `option '--capacity': invalid value 'ten', expected a whole number of at least 1`.
 */
import { type Stats, statSync } from "node:fs";
import {
  exactDuration,
  exactSize,
  parseImageTarget,
  readDuration,
  readMoment,
  readSize,
} from "../text/index.js";

/** A value that does not parse. The message stands after `option '--x': `. */
export class ValueError extends Error {
  override readonly name = "ValueError";
}

/** What help and completion say of a value, beside its name. */
export interface ValueHelp {
  /** All texts that there are, if they are few; help and completion list them. */
  readonly words?: readonly string[] | undefined;
  /** How the text is written, where the value's name does not say it. */
  readonly meaning?: string | undefined;
  /**
   * Writes a number as one would type it, if that is not how JavaScript does; help shows defaults
   * so.
   */
  readonly write?: ((value: number) => string) | undefined;
}

/** Text in, value out, or a `ValueError`. */
export interface Parser<T> extends ValueHelp {
  (text: string): T;
}

/** A parser of which help can say more; `described(parse, duration)`: the same as of durations. */
export function described<T>(parse: (text: string) => T, help: ValueHelp): Parser<T> {
  const { words, meaning, write } = help;
  return Object.assign((text: string) => parse(text), { words, meaning, write });
}

function invalid(text: string, expected: string): ValueError {
  return new ValueError(`invalid value '${text}', expected ${expected}`);
}

/** Bounds, both included. */
export interface Range {
  readonly min?: number;
  readonly max?: number;
}

function describeRange({ min, max }: Range): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return ` of at least ${min}`;
  return max === undefined ? "" : ` of at most ${max}`;
}

function inRange(value: number, { min = -Infinity, max = Infinity }: Range): boolean {
  return value >= min && value <= max;
}

/** A whole number in decimal digits. */
export function integer(range: Range = {}): Parser<number> {
  return (text) => {
    const value = Number(text);
    if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(value) || !inRange(value, range)) {
      throw invalid(text, `a whole number${describeRange(range)}`);
    }
    return value;
  };
}

const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/** A finite number, with or without a fraction. */
export function decimal(range: Range = {}): Parser<number> {
  return (text) => {
    const value = Number(text);
    if (!DECIMAL.test(text) || !Number.isFinite(value) || !inRange(value, range)) {
      throw invalid(text, `a number${describeRange(range)}`);
    }
    return value;
  };
}

/** 0 to 100; a `%` after it is allowed. */
export const percentage = described(
  (text) => {
    const value = Number(text.replace(/%$/, ""));
    if (!DECIMAL.test(text.replace(/%$/, "")) || !inRange(value, { min: 0, max: 100 })) {
      throw invalid(text, "a percentage from 0 to 100");
    }
    return value;
  },
  { meaning: "0 to 100" },
);

/** A TCP port; 0 lets the system choose one. */
export const port: Parser<number> = integer({ min: 0, max: 65535 });

/**
 * A duration in seconds: a number of seconds (`600`, `0.5`), or parts with units (`10m`, `1h30m`,
 * `250ms`).
 */
export const duration = described(
  (text) => {
    const seconds = readDuration(text);
    if (seconds === null) {
      throw invalid(text, "a number of seconds, or a duration such as 10m or 1h30m");
    }
    return seconds;
  },
  {
    meaning: "seconds, or with units: 250ms, 90s, 10m, 1h30m, 7d",
    write: exactDuration,
  },
);

/**
 * A moment, in seconds since the Unix epoch: so long ago (`7d`, `2h`), `today`, `yesterday`, or an
 * ISO date.
 */
export const moment = described(
  (text) => {
    const seconds = readMoment(text, Date.now() / 1000);
    if (seconds === null) {
      throw invalid(text, "a time such as 7d, 2h, yesterday, 2026-11-30 or 2026-11-30T18:00");
    }
    return seconds;
  },
  { meaning: "7d or 2h ago, today, yesterday, 2026-11-30, 2026-11-30T18:00" },
);

/** A size in bytes, as `readSize` has it: `512M`, `20GB`, or a number of `bareUnit` bytes. */
export function size(bareUnit = 1): Parser<number> {
  return described(
    (text) => {
      const bytes = readSize(text, bareUnit);
      if (bytes === null) throw invalid(text, "a size such as 512M or 20GB");
      return bytes;
    },
    {
      meaning: "bytes, or with a unit: 512K, 64M, 1.5G (of 1024), 20GB (of 1000)",
      write: exactSize,
    },
  );
}

/** Text that must not be empty. */
export const nonEmpty: Parser<string> = (text) => {
  if (text === "") throw new ValueError("the value must not be empty");
  return text;
};

/**
 * A name, which is kept as UTF-8. What is none on a command line has arrived with U+FFFD where it
 * is wrong.
 */
export const utf8Name: Parser<string> = (text) => {
  if (nonEmpty(text).includes("\ufffd")) {
    throw new ValueError(`the name '${text}' is not UTF-8; give it in a UTF-8 locale`);
  }
  return text;
};

/** One of the given words, or the beginning of one and no other. */
export function oneOf<const T extends string>(words: readonly T[]): Parser<T> {
  const parser = (text: string): T => {
    const begun = text === "" ? [] : words.filter((candidate) => candidate.startsWith(text));
    const word = words.find((candidate) => candidate === text) ?? begun[0];
    if (word === undefined || (word !== text && begun.length > 1))
      throw invalid(text, `one of ${words.join(", ")}`);
    return word;
  };
  return described(parser, { words });
}

/** A repository and a tag for an image, `org/image:tag`. */
export const imageTarget: Parser<string> = (text) => {
  if (typeof parseImageTarget(text) === "string") throw invalid(text, "REPO:TAG");
  return text;
};

/**
 * Comma-separated values, without empty ones; `a, b` is `a,b`. `meaning` says of what, unless it is
 * words that are listed.
 */
export function list<T>(item: Parser<T>, meaning?: string): Parser<T[]> {
  const parser = (text: string) =>
    text
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "")
      .map(item);
  const ofWords = item.words && "words, separated by commas";
  return described(parser, { words: item.words, meaning: meaning ?? ofWords });
}

/**
 * What is at a path; undefined if there is nothing. Throws `ValueError` if that cannot be known.
 */
function look(path: string): Stats | undefined {
  try {
    return statSync(nonEmpty(path), { throwIfNoEntry: false });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTDIR") return undefined;
    if (code === "EACCES") throw new ValueError(`no permission to look at '${path}'`);
    if (error instanceof ValueError) throw error;
    throw new ValueError(`cannot look at '${path}': ${(error as Error).message}`, { cause: error });
  }
}

/** The path of something that exists and can be looked at. The path is returned as it was given. */
export const existingFile: Parser<string> = (text) => {
  const stat = look(text);
  if (!stat) throw new ValueError(`no '${text}' file`);
  if (stat.isDirectory()) throw new ValueError(`'${text}' is a directory, expected a file`);
  return text;
};

/** The path of a directory that exists. The path is returned as it was given. */
export const existingDirectory: Parser<string> = (text) => {
  if (!look(text)) throw new ValueError(`no '${text}' directory`);
  return directory(text);
};

/** The path of a directory, or of one that is to be made. The path is returned as it was given. */
export const directory: Parser<string> = (text) => {
  if (look(text)?.isDirectory() === false) throw new ValueError(`'${text}' is not a directory`);
  return text;
};

/**
 * A secret to send along: its name in the spec or Dockerfile, and the file that holds its value.
 */
export interface SecretFile {
  readonly id: string;
  readonly file: string;
}

/** `ID:FILE`; the file must exist. */
export const secretFile: Parser<SecretFile> = described(
  (text) => {
    const [id, file] = cut(text, ":");
    if (!id || !file) throw invalid(text, "ID:FILE");
    return { id, file: existingFile(file) };
  },
  { meaning: "its name in the spec or Dockerfile, and the file that holds its value" },
);

/** `KEY=VALUE`, split at the first `=`. */
export const assignment: Parser<{ readonly key: string; readonly value: string }> = (text) => {
  const [key, value] = cut(text, "=");
  if (!key || value === undefined) throw invalid(text, "KEY=VALUE");
  return { key, value };
};

/** A named HTTP endpoint. */
export interface NamedUrl {
  readonly name: string;
  readonly url: URL;
}

const namedUrl: Parser<NamedUrl> = (text) => {
  const [name, url] = cut(text, ":");
  if (!name || !url || !/^https?:/.test(url) || !URL.canParse(url)) {
    throw invalid(text, "NAME:URL with an http or https URL");
  }
  return { name, url: new URL(url) };
};

/** `NAME:URL,…`; no name may come twice. */
export const namedUrls: Parser<NamedUrl[]> = (text) => {
  const entries = list(namedUrl)(text);
  const names = entries.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new ValueError(`the name '${twice}' is given twice`);
  return entries;
};

/** The text before and after the first `separator`; no second part without one. */
function cut(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}
