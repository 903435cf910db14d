/**
 * Durations, moments and sizes as people write and read them.
 *
 * Durations are seconds, moments seconds since the Unix epoch, both with fractions; sizes are bytes. What is written for people is
 * in the local time zone, what is written for programs in UTC.
 */

const SECONDS_PER = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 } as const;

const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;
const PARTS = /^(\d+(\.\d+)?(ms|s|m|h|d))+$/;

/** Reads a number of seconds (`600`, `0.5`), or parts with units (`10m`, `1h30m`, `250ms`); null if it is neither. */
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

/** A date, and perhaps a time of that day, and perhaps a zone: parts of ISO 8601, with a blank for the `T` if need be. */
const ISO = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/;

/**
 * Reads a moment: a duration with units before `now` (`7d`, `2h`), `now`, `today` and `yesterday` (when these days
 * began), or an ISO date (`2026-11-30`, `2026-11-30T18:00`, `2026-11-30T18:00:00Z`), local where it has no zone. Null if it
 * is none of these.
 */
export function readMoment(text: string, now: number): number | null {
  const ago = readParts(text);
  if (ago !== null) return now - ago;
  if (text === "now") return now;
  if (text === "today") return startOfDay(now, 0);
  if (text === "yesterday") return startOfDay(now, -1);
  if (!ISO.test(text)) return null;
  // A date alone would be one of UTC's. A day that its month does not have is invalid, or becomes one of the next.
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
  const two = (n: number) => String(Math.floor(n)).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  if (whole < 48 * 3600) return `${Math.floor(whole / 3600)}h${two((whole / 60) % 60)}m`;
  return `${Math.floor(whole / 86400)}d${two((whole / 3600) % 24)}h`;
}

/** In local time, `2026-11-30 18:00:59`. */
export function writeMoment(moment: number): string {
  const date = new Date(moment * 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":")}`;
}

/** ISO 8601 in UTC, `2026-11-30T18:00:59.250Z`. */
export function isoMoment(moment: number): string {
  return new Date(moment * 1000).toISOString();
}

/** `0 B`, `512 B`, `1.5 KiB`, `20 MiB` */
export function writeSize(bytes: number): string {
  let size = bytes;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  while (size >= 1023.95 && units.length > 1) {
    size /= 1024;
    units.shift();
  }
  const digits = Number.isInteger(size) || size >= 99.95 ? 0 : 1;
  return `${size.toFixed(digits)} ${units[0]}`;
}
