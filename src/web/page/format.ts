/** Numbers and times as the page shows them, beyond what `text/units` has. */

/** Seconds since 1970 of an ISO time. */
export function seconds(iso: string): number {
  return Date.parse(iso) / 1000;
}

/** `1,234,567` */
export function count(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 job`, `2 jobs` */
export function counted(value: number, thing: string, things = `${thing}s`): string {
  return `${count(value)} ${value === 1 ? thing : things}`;
}

/** A share as whole per cents that never claim too much: `0%` is none at all, and `100%` all. */
export function percent(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) return "0%";
  if (part >= whole) return "100%";
  return `${Math.min(99, Math.max(1, Math.round((part / whole) * 100)))}%`;
}

/** A moment in the reader's zone, short: the time of today, else the day as well. */
export function shortMoment(moment: number, now: number): string {
  const date = new Date(moment * 1000);
  const today = new Date(now * 1000).toDateString() === date.toDateString();
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return today ? clock : `${day(moment)} ${clock}`;
}

/** `30 Nov` */
export function day(moment: number): string {
  const date = new Date(moment * 1000);
  return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

/** To the second, with the zone, and in UTC: for who compares it with another log. */
export function exactMoment(moment: number): string {
  const date = new Date(moment * 1000);
  const zone = -date.getTimezoneOffset();
  const sign = zone < 0 ? "-" : "+";
  const offset = `${sign}${two(Math.abs(zone) / 60)}:${two(Math.abs(zone) % 60)}`;
  const local = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${local} ${clock} (UTC${offset}); ${date.toISOString().replace(/\.\d+Z$/, "Z")}`;
}

/** `just now`, `5 min ago`, `in 3 h` */
export function ago(moment: number, now: number): string {
  const past = now - moment;
  const size = Math.abs(past);
  if (size < 5) return "just now";
  return past > 0 ? `${rough(size)} ago` : `in ${rough(size)}`;
}

/** In one unit: `42 s`, `5 min`, `3 h`, `2 d`. */
export function rough(span: number): string {
  if (span < 59.5) return `${Math.round(span)} s`;
  if (span < 3570) return `${Math.round(span / 60)} min`;
  if (span < 47 * 3600) return `${Math.round(span / 3600)} h`;
  return `${Math.round(span / 86_400)} d`;
}

/** Hours of work: `0.4 h`, `12 h`, `1,240 h`. */
export function hours(span: number): string {
  const value = span / 3600;
  return `${value > 0 && value < 9.95 ? value.toFixed(1) : count(value)} h`;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

function two(value: number): string {
  return String(Math.floor(value)).padStart(2, "0");
}
