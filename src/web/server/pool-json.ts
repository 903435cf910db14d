/**
 * Pools as the API shows them, and what is wrong with them: problems first.
 */
import { describeObstacle } from "../../admin/index.js";
import type { PoolDirectory, PoolMonitor } from "../../api/index.js";
import { isoMoment, quoted } from "../../text/index.js";
import type { PoolHistory } from "./pool-history.js";

/** What was seen of a pool at one moment. */
export interface PoolLook {
  readonly summary: PoolDirectory.PoolSummary;
  /** Null to a client, who is told no names. */
  readonly state: PoolMonitor.PoolState | null;
}

export interface Problem {
  readonly kind: string;
  readonly worker: string | null;
  readonly text: string;
}

export function poolJson({ state, summary }: PoolLook, history: PoolHistory) {
  const { able, architectures, capacity, cpus, memory, name, queued, running, workers } = summary;
  return {
    ...{ name, workers, capacity, running, queued, able, cpus, memory, architectures },
    known: state?.workers.length ?? null,
    paused: state ? state.workers.filter((each) => each.connected && isPaused(each)).length : null,
    wanted: state?.workersWanted ?? null,
    waitSeconds: history.wait,
    rate: history.rate,
    spark: history.spark,
    problems: state ? problemsOf(state, summary) : problemsFor(summary),
  };
}

/** What administrators and viewers see besides; null to a client. */
export function poolDetail({ state }: PoolLook) {
  if (!state) return null;
  const { backlog, clients, obstacles, ready, totals, workers } = state;
  const now = Date.now() / 1000;
  return {
    ready,
    backlog,
    totals,
    obstacles: obstacles.map((each) => ({ kind: each.kind, text: describeObstacle(each) })),
    workers: workers.map(workerJson),
    clients: clients.map(({ delay, id, queued, rate }) => ({
      id,
      rate,
      delay,
      due: Number.isFinite(delay) && Math.abs(delay) < 1e9 ? isoMoment(now + delay) : null,
      queued: queued.urgent + queued.other,
      urgent: queued.urgent,
    })),
  };
}

export function workerJson(worker: PoolMonitor.WorkerState) {
  const { capacity, connected, name, queue, running, work } = worker;
  const queued = queue.urgent + queue.other;
  return { name, connected, state: stateOf(worker), capacity, running, queued, work };
}

function stateOf(worker: PoolMonitor.WorkerState): string {
  const { adminPause, connected, shuttingDown, workerPause } = worker;
  if (!connected) return adminPause ? "disconnected-paused" : "disconnected";
  if (shuttingDown) return "shutting-down";
  if (adminPause) return "paused";
  return workerPause ? "self-paused" : "active";
}

function isPaused({ adminPause, shuttingDown, workerPause }: PoolMonitor.WorkerState): boolean {
  return adminPause || shuttingDown || workerPause;
}

/** What anybody may know. */
function problemsFor({ queued, running, workers }: PoolDirectory.PoolSummary): Problem[] {
  if (workers === 0) return [noWorkers(queued)];
  if (queued > 0 && running === 0) return [STUCK];
  return [];
}

function noWorkers(queued: number): Problem {
  const waiting = queued === 0 ? "" : `; ${queued === 1 ? "a job waits" : `${queued} jobs wait`}`;
  return { kind: "noWorkers", worker: null, text: `No worker is connected${waiting}.` };
}

const STUCK: Problem = { kind: "stuck", worker: null, text: "Jobs are queued, and none runs." };

/** Workers that are named, of each kind of problem. */
const MOST_NAMED = 20;

function problemsOf(state: PoolMonitor.PoolState, summary: PoolDirectory.PoolSummary): Problem[] {
  const { obstacles, workers } = state;
  const problems: Problem[] = [...problemsFor(summary)];
  for (const obstacle of obstacles) {
    if (obstacle.kind !== "unable" && obstacle.kind !== "silent") continue;
    problems.push({ kind: obstacle.kind, worker: null, text: describeObstacle(obstacle) });
  }
  const kinds: [string, string, (worker: PoolMonitor.WorkerState) => boolean][] = [
    ["paused", "is paused by an administrator", (each) => each.connected && each.adminPause],
    ["selfPaused", "has paused itself", (each) => each.connected && each.workerPause],
    ["shuttingDown", "is restarting", (each) => each.connected && each.shuttingDown],
    ["disconnected", "is not connected", (each) => !each.connected],
  ];
  for (const [kind, words, fits] of kinds) {
    const names = workers.filter(fits).map(({ name }) => name);
    for (const worker of names.slice(0, MOST_NAMED)) {
      problems.push({ kind, worker, text: `Worker ${quoted(worker)} ${words}.` });
    }
    if (names.length <= MOST_NAMED) continue;
    const more = names.length - MOST_NAMED;
    problems.push({ kind, worker: null, text: `So it is with ${more} more workers.` });
  }
  return problems;
}
