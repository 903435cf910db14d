/**
 * Timers for times that people choose: a month is too long for Node's own, which ring at once then.
 */

/** The longest time that Node's timers can wait, in ms: 24.8 days. */
const LONGEST = 2 ** 31 - 1;

/**
 * Calls `ring` after `ms`, however many (never, if that is infinite), unless the function that it
 * returns is called before.
 */
export function alarm(ms: number, ring: () => void): () => void {
  if (ms === Number.POSITIVE_INFINITY) return () => {};
  let timer: NodeJS.Timeout;
  const wait = (left: number): void => {
    timer =
      left > LONGEST
        ? setTimeout(() => wait(left - LONGEST), LONGEST)
        : setTimeout(ring, Math.max(0, left));
  };
  wait(ms);
  return () => clearTimeout(timer);
}
