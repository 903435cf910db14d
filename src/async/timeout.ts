/** Deadlines that are fair to peers when it is this process that stood still. */

/**
 * Calls `late` after `ms`, unless the function that it returns is called before. What a peer has
 * sent in the meantime may be here and only has to be read: that comes before an immediate. It is
 * the peer's socket that keeps the process alive, not this.
 */
export function timeout(ms: number, late: () => void): () => void {
  let immediate: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    immediate = setImmediate(late);
  }, ms).unref();
  return () => {
    clearTimeout(timer);
    clearImmediate(immediate);
  };
}
