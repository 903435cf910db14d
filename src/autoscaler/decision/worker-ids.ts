/** Which worker is in which instance: a worker's name is its instance's id, or ends with `-ID`. */

/** Of `ids`, the one that a worker's name ends with; the longest, if several do. */
export function idOfWorker(name: string, ids: ReadonlySet<string>): string | undefined {
  if (ids.has(name)) return name;
  for (let at = name.indexOf("-"); at >= 0; at = name.indexOf("-", at + 1)) {
    const rest = name.slice(at + 1);
    if (ids.has(rest)) return rest;
  }
  return undefined;
}

/** Things with the names of workers, by the ids of the instances that these are in. */
export function byInstance<T extends { readonly name: string }>(
  workers: Iterable<T>,
  ids: ReadonlySet<string>,
): Map<string, T> {
  const found = new Map<string, T>();
  for (const worker of workers) {
    const id = idOfWorker(worker.name, ids);
    if (id !== undefined) found.set(id, worker);
  }
  return found;
}
