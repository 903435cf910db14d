/** What is wrong in the cluster, the worst first. */
import type { Pool, Problem } from "./api/types.js";

export interface PoolProblem extends Problem {
  readonly pool: string;
  readonly tone: "bad" | "warn";
}

/** By kind, from what stops a pool to what is merely worth knowing. */
const ORDER = [
  "noWorkers",
  "stuck",
  "unable",
  "unhealthy",
  "disk",
  "disconnected",
  "silent",
  "paused",
  "shuttingDown",
];

/** Of these, jobs wait until somebody does something. */
const BAD = new Set(["noWorkers", "stuck", "unable", "unhealthy", "disk"]);

export function problemsOf(pools: readonly Pool[]): PoolProblem[] {
  return pools
    .flatMap((pool) =>
      pool.problems.map((problem) => ({
        ...problem,
        pool: pool.name,
        tone: BAD.has(problem.kind) ? ("bad" as const) : ("warn" as const),
      })),
    )
    .sort((a, b) => rank(a.kind) - rank(b.kind));
}

function rank(kind: string): number {
  const at = ORDER.indexOf(kind);
  return at < 0 ? ORDER.length : at;
}
