/** What is said of many measurements. */

/**
 * The value that `share` (0 to below 1) of the values are below; `values` are not empty, in any
 * order.
 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

/** The middle one; of an even number of values, the upper of the two; of none, NaN. */
export function median(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : percentile(values, 0.5);
}
