/** Durations as administrators read them. */

/** `45s`, `12m`, `3h05m`, `4d02h` */
export function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const two = (n: number) => String(n).padStart(2, "0");
  if (minutes < 2) return `${Math.round(seconds)}s`;
  if (hours < 1) return `${minutes}m`;
  if (hours < 48) return `${hours}h${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d${two(hours % 24)}h`;
}
