/**
 * The log of every program: one line per entry on standard error, for people (text) or for machines
 * (JSON).
 *
 *     2020-11-05 16:28.30      capnp-rpc [INFO] Generating new private key…
 *     2020-11-05 16:28.30    application  Wrote capability reference to "./capnp-secrets/admin.cap"
 *
 * Operators' scripts match these lines, hence the exact format: local time, source right-aligned in
 * 14 columns, level.
 */
import type { Logger as PinoLogger } from "pino";
import { visibleLines } from "../text/index.js";
import { type ColorChoice, paint, stderrTerminal, useColor } from "./terminal.js";

/** From silent to chatty; a level shows its own entries and those of all levels before it. */
export const VERBOSITIES = ["quiet", "error", "warning", "info", "debug"] as const;
export type Verbosity = (typeof VERBOSITIES)[number];

export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/**
 * "app" is what a program says as itself, or was asked to say: without a level, and shown unless it
 * shall be quiet.
 */
type Level = "app" | Exclude<Verbosity, "quiet">;

const RANK: Record<Level, number> = { app: 1, error: 1, warning: 2, info: 3, debug: 4 };

/**
 * Facts about an entry for machines; only the JSON format shows them, so the message must stand
 * without them.
 */
export type Fields = Readonly<Record<string, unknown>>;

/** Writes the entries of one source. */
export interface Logger {
  error(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  debug(message: string, fields?: Fields): void;
  /** Whether `debug` entries are shown: ask before composing an expensive message. */
  readonly debugging: boolean;
  /** False: `info` entries are not shown. There are thousands a second of some. */
  readonly informing?: boolean;
}

/** Where entries go and which of them. */
export interface LogOptions {
  readonly verbosity: Verbosity;
  readonly format: LogFormat;
  readonly color: ColorChoice;
}

type Write = (level: Level, source: string, message: string, fields?: Fields) => void;

/** How many entries were shown. */
export interface EntryCount {
  readonly level: Level;
  readonly source: string;
  readonly count: number;
}

/** By source, then by level. Sources are words of ours, so there are few. */
const shown = new Map<string, Map<Level, number>>();

let threshold = VERBOSITIES.indexOf("warning");
let write: Write = textWriter("auto");

/**
 * Sets the log of the whole process up, and that "quiet" hides progress too. Until then it is text,
 * from "warning" on.
 */
export async function configureLog(options: LogOptions): Promise<void> {
  threshold = VERBOSITIES.indexOf(options.verbosity);
  stderrTerminal.showsProgress = options.verbosity !== "quiet";
  write = options.format === "json" ? await jsonWriter() : textWriter(options.color);
}

/**
 * A logger for `source`, such as "capnp-rpc" or "worker". The source "application" is the program
 * itself: its `info` entries carry no level and are shown unless the verbosity is "quiet". So are
 * those of a source that is `always` to be seen.
 */
export function logger(source: string, { always = source === "application" } = {}): Logger {
  const counts = shown.get(source) ?? new Map<Level, number>();
  shown.set(source, counts);
  const put = (level: Level, message: string, fields?: Fields): void => {
    if (RANK[level] > threshold) return;
    counts.set(level, (counts.get(level) ?? 0) + 1);
    write(level, source, message, fields);
  };
  const info: Level = always ? "app" : "info";
  return {
    error: (message, fields) => put("error", message, fields),
    warn: (message, fields) => put("warning", message, fields),
    info: (message, fields) => put(info, message, fields),
    debug: (message, fields) => put("debug", message, fields),
    get debugging() {
      return RANK.debug <= threshold;
    },
    get informing() {
      return RANK[info] <= threshold;
    },
  };
}

/** What this process has shown so far; nothing of levels that a source has not used. */
export function* entryCounts(): Generator<EntryCount> {
  for (const [source, counts] of shown) {
    for (const [level, count] of counts) yield { level, source, count };
  }
}

const LEVEL_COLORS = { error: "red", warning: "yellow", info: "blue", debug: "green" } as const;

function textWriter(choice: ColorChoice): Write {
  const color = useColor(choice, process.stderr);
  return (level, source, message) =>
    stderrTerminal.line(formatEntry(new Date(), level, source, message, color));
}

/** One entry as text, without the newline at its end. Exported for tests. */
export function formatEntry(
  time: Date,
  level: Level,
  source: string,
  message: string,
  color = false,
): string {
  const label =
    level === "app" ? "" : paint(color, LEVEL_COLORS[level], `[${level.toUpperCase()}]`);
  const head = `${timestamp(time)} ${paint(color, "magenta", source.padStart(14))} ${label} `;
  // Messages quote names and errors from other machines: these must not be able to fake an entry or
  // drive the terminal.
  return head + visibleLines(message).replaceAll("\n", `\n${" ".repeat(35)}`);
}

/** `YYYY-MM-DD HH:MM.SS`, in local time. */
function timestamp(time: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}.${two(time.getSeconds())}`;
}

/** Loads pino only when it is asked for: it would be half of the start-up time of a `--help`. */
async function jsonWriter(): Promise<Write> {
  const { pino } = await import("pino");
  const out: PinoLogger = pino(
    {
      base: null,
      level: "debug",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label === "warn" ? "warning" : label }) },
    },
    // Synchronous on Linux, so that the last words of a process that dies are not lost. Not pino's
    // own destination, which throws when a disk is full.
    process.stderr,
  );
  return (level, source, message, fields) => {
    const method = level === "app" ? "info" : level === "warning" ? "warn" : level;
    out[method]({ source, ...fields }, message);
  };
}
