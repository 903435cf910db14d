/**
 * Durations, moments and sizes as people write and read them.
 *
 * Durations are seconds, moments seconds since the Unix epoch, both with fractions; sizes are
 * bytes. What is written for people is in the local time zone, what is written for programs in UTC.
 */

const SECONDS_PER = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 } as const;

const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;
const PARTS = /^(\d+(\.\d+)?(ms|s|m|h|d))+$/;

/**
 * Reads a number of seconds (`600`, `0.5`), or parts with units (`10m`, `1h30m`, `250ms`); null if
 * it is neither.
 */
export function readDuration(text: string): number | null {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : readParts(text);
}

function readParts(text: string): number | null {
  if (!PARTS.test(text)) return null;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(PART)) {
    seconds += Number(amount) * SECONDS_PER[unit as keyof typeof SECONDS_PER];
  }
  return seconds;
}

/**
 * A date, and perhaps a time of that day, and perhaps a zone: parts of ISO 8601, with a blank for
 * the `T` if need be.
 */
const ISO = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/;

/**
 * Reads a moment: a duration with units before `now` (`7d`, `2h`), `now`, `today` and `yesterday`
 * (when these days began), or an ISO date (`2026-11-30`, `2026-11-30T18:00`,
 * `2026-11-30T18:00:00Z`), local where it has no zone. Null if it is none of these.
 */
export function readMoment(text: string, now: number): number | null {
  const ago = readParts(text);
  if (ago !== null) return now - ago;
  if (text === "now") return now;
  if (text === "today") return startOfDay(now, 0);
  if (text === "yesterday") return startOfDay(now, -1);
  if (!ISO.test(text)) return null;
  // A date alone would be one of UTC's. A day that its month does not have is invalid, or becomes
  // one of the next.
  const date = new Date(text.length === 10 ? `${text}T00:00` : text.replace(" ", "T"));
  const [year, month, day] = text.slice(0, 10).split("-").map(Number);
  const last = new Date(year!, month!, 0).getDate();
  return Number.isNaN(date.getTime()) || day! > last ? null : date.getTime() / 1000;
}

function startOfDay(now: number, days: number): number {
  const date = new Date(now * 1000);
  date.setHours(0, 0, 0, 0);
  date.setDate(date.getDate() + days);
  return date.getTime() / 1000;
}

/** `0.3s`, `45s`, `12m07s`, `3h05m`, `4d02h` */
export function writeDuration(seconds: number): string {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  if (whole < 48 * 3600) return `${Math.floor(whole / 3600)}h${two((whole / 60) % 60)}m`;
  return `${Math.floor(whole / 86400)}d${two((whole / 3600) % 24)}h`;
}

/** For tables of what goes on: `45s`, `12m`, `3h05m`, `4d02h`. */
export function roughDuration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes < 2) return `${Math.round(seconds)}s`;
  if (hours < 1) return `${minutes}m`;
  if (hours < 48) return `${hours}h${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d${two(hours % 24)}h`;
}

/** For a clock that somebody watches: `42 s`, `3 min 07 s`, `2 h 05 min`. */
export function clockDuration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
}

/**
 * How long ago something was, in the largest unit of which it is one: `3 d`, `2 h`, `5 min`, `0 s`.
 */
export function roughAge(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole >= 86_400) return `${Math.floor(whole / 86_400)} d`;
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h`;
  if (whole >= 60) return `${Math.floor(whole / 60)} min`;
  return `${whole} s`;
}

/**
 * As `readDuration` takes it: in the largest unit of which it is a whole number, `90s`, `2m`, `1h`.
 */
export function exactDuration(seconds: number): string {
  return exact(seconds, 60, ["s", "m", "h"]);
}

/** In local time, `2026-11-30 18:00:59`. */
export function writeMoment(moment: number): string {
  const date = new Date(moment * 1000);
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":")}`;
}

/** ISO 8601 in UTC, `2026-11-30T18:00:59.250Z`. */
export function isoMoment(moment: number): string {
  return new Date(moment * 1000).toISOString();
}

const BYTE_PREFIXES = ["", "K", "M", "G", "T", "P"];

/**
 * Reads a size in bytes; null if it is none. A number without a unit counts `bareUnit` bytes. Units
 * as in dd(1), in either case: `K`, `KiB`, `M`, … are powers of 1024; `kB`, `MB`, … of 1000; `B` is
 * one.
 */
export function readSize(text: string, bareUnit: number): number | null {
  const [, amount, prefix, suffix] = /^(\d+(?:\.\d+)?)([kmgtp]?)(b|ib|)$/i.exec(text) ?? [];
  if (amount === undefined || (prefix === "" && suffix?.toLowerCase() === "ib")) return null;
  const power = BYTE_PREFIXES.indexOf(prefix!.toUpperCase());
  if (power === 0 && suffix === "") return Number(amount) * bareUnit;
  return Math.round(Number(amount) * (suffix?.toLowerCase() === "b" ? 1000 : 1024) ** power);
}

/**
 * As `readSize` takes it: in the largest unit of 1024 of which it is a whole number, `512`, `64M`.
 */
export function exactSize(bytes: number): string {
  return exact(bytes, 1024, BYTE_PREFIXES);
}

/** `0 B`, `512 B`, `1.5 KiB`, `20.0 MiB` */
export function writeSize(bytes: number): string {
  let size = bytes;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  while (size >= 1023.95 && units.length > 1) {
    size /= 1024;
    units.shift();
  }
  return `${units[0] === "B" ? size : size.toFixed(1)} ${units[0]}`;
}

function exact(value: number, step: number, [unit = "", ...larger]: readonly string[]): string {
  const isWhole = larger.length > 0 && value >= step && value % step === 0;
  return isWhole ? exact(value / step, step, larger) : `${value}${unit}`;
}

function two(n: number): string {
  return String(Math.floor(n)).padStart(2, "0");
}
