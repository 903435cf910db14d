/*
 * Waiting that can be given up.
 */

/**
 * Resolves when the signal is aborted. The listener goes with that, or when `over` is aborted: then
 * it never resolves.
 */
export function aborted(signal: AbortSignal, over?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else {
      const options = { once: true, ...(over && { signal: over }) };
      signal.addEventListener("abort", () => resolve(), options);
    }
  });
}

/**
 * The promise's outcome. Throws `reason()`, or else the signal's own reason, when that is aborted
 * first; the promise is left to itself then.
 */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  reason: () => unknown = () => signal?.reason,
): Promise<T> {
  if (!signal) return await promise;
  promise.catch(() => {}); // Nobody may be left to mind.
  if (signal.aborted) throw reason();
  let onAbort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(reason());
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
