/** Why a worker is not given jobs: a set of reasons. The worker is active when the set is empty. */

/** The reasons, each a bit of the set. */
export const INACTIVE = {
  /** The worker has paused itself; every connection starts so. */
  worker: 1,
  /** An administrator has paused it. The only reason that outlives the connection. */
  adminPause: 2,
  /** It is being restarted by an administrator. */
  shutdown: 4,
  /** It was told to end once its jobs have. */
  retired: 8,
} as const;

export type InactiveReason = (typeof INACTIVE)[keyof typeof INACTIVE];

const WORDS: readonly (readonly [InactiveReason, string])[] = [
  [INACTIVE.worker, "worker pause"],
  [INACTIVE.adminPause, "admin pause"],
  [INACTIVE.shutdown, "shutting down"],
  [INACTIVE.retired, "told to end"],
];

/** The words of `show`: `worker pause, admin pause`. */
export function describeReasons(reasons: number): string {
  return WORDS.filter(([bit]) => (reasons & bit) !== 0)
    .map(([, words]) => words)
    .join(", ");
}
