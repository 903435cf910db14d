/**
 * How many workers a pool is worth: so many of the usual capacity would have its queue empty within
 * a time, the *target*.
 *
 * Each running job takes a place. The waiting jobs of a client take as many places as work them off
 * within the target, and no more than one each. Jobs in a worker's own queue take none: they wait
 * for what that worker has cached, and would not go to a new one.
 */

/** Jobs of a client that wait for whatever worker. */
export interface WaitingJobs {
  readonly jobs: number;
  /** How long one of them is expected to take, in seconds; infinite if that is not known. */
  readonly seconds: number;
}

export interface WorkToDo {
  /** Jobs that workers run. */
  readonly running: number;
  /** By client. */
  readonly waiting: readonly WaitingJobs[];
}

/**
 * @param target in seconds
 * @param capacity how many jobs a worker runs at a time, usually; at least 1
 */
export function workersWanted(
  { running, waiting }: WorkToDo,
  target: number,
  capacity: number,
): number {
  let places = running;
  for (const { jobs, seconds } of waiting)
    places += seconds < target ? (jobs * seconds) / target : jobs;
  return Math.ceil(places / capacity);
}

/** The median of the capacities of workers that can run anything; undefined without one. */
export function usualCapacity(capacities: readonly number[]): number | undefined {
  const useful = capacities.filter((capacity) => capacity > 0).sort((a, b) => a - b);
  return useful[useful.length >> 1];
}
