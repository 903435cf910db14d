/**
 * What can be learnt from the text of `show`, which is meant for people:
 *
 *     capacity: 3
 *     queue: (backlog) [ben:test@5s
 *                       ann:lint@0s+urgent]        or   queue: (ready) [north-2 north-1]
 *     registered:
 *       north-1 (4): [ben:test-web@5s(2) ann:lint-docs@10s(2+urgent)] (2 running)
 *       north-2 (0): (inactive: worker pause, admin pause) (0 running)
 *     disconnected:
 *       north-3 (paused)
 *     clients: ann(1)+12s ben(2)
 *
 * Nothing in there is quoted: names and hints that look like parts of the format can give wrong
 * numbers, but no more than that. The time is linear in the text's length, of which there is much
 * when many jobs are queued.
 */
import type { PoolMonitor } from "../api/index.js";
import type { PoolReport, WorkerReport } from "./pool-report.js";

/** The text is none of `show`'s. */
export class PoolTextError extends Error {
  override readonly name = "PoolTextError";
}

/** Throws a `PoolTextError`. */
export function parsePoolText(text: string): PoolReport {
  const lines = text.split("\n");
  const headings = ["capacity:", "queue:", "registered:", "disconnected:", "clients:"];
  const starts = headings.map((heading) => lines.findIndex((line) => line.startsWith(heading)));
  if (starts.includes(-1)) {
    const missing = headings[starts.indexOf(-1)];
    throw new PoolTextError(`The scheduler's description of the pool has no '${missing}'`);
  }
  /** A section in one piece, without its heading; entries on lines of their own are separate. */
  const section = (index: number): string[] => {
    const end = Math.min(...starts.filter((start) => start > starts[index]!), lines.length);
    const [first, ...rest] = lines.slice(starts[index], end);
    return unfold([first!.slice(headings[index]!.length), ...rest]);
  };
  const jobs = new JobTally();
  const queue = section(1).join("\n").trim();
  const line = /^\(ready\) \[(.*)\]$/s.exec(queue)?.[1];
  const backlog = jobs.add(/^\(backlog\) \[(.*)\]$/s.exec(queue)?.[1] ?? "");
  const connected = section(2)
    .slice(1)
    .map((entry) => parseWorker(entry, jobs));
  const disconnected = section(3).slice(1).map(parseDisconnected);
  return {
    capacity: Number.parseInt(section(0)[0]!, 10) || 0,
    ready: line?.trim() ? line.trim().split(/\s+/).length : 0,
    backlog,
    workers: [...connected.flatMap((worker) => worker ?? []), ...disconnected],
    clients: parseClients(section(4).join("\n"), jobs),
    totals: null,
    obstacles: [],
    workersWanted: null,
  };
}

/**
 * Puts lines that go on where the one before has ended back together: they are indented by more
 * than an entry.
 */
function unfold(lines: readonly string[]): string[] {
  const entries: string[][] = [];
  for (const line of lines) {
    if (/^ {3}/.test(line) && entries.length > 0) entries.at(-1)!.push(line.trimStart());
    else if (line !== "" || entries.length === 0) entries.push([line]);
  }
  return entries.map((parts) => parts.join(" "));
}

/** Between a worker's name and its queue; at the end of its entry. */
const WORK = / \((\d+)\): (?=\[|\(inactive: )/;
const RUNNING = /[\])] \((-?\d+) running\)$/;

function parseWorker(entry: string, jobs: JobTally): WorkerReport | null {
  const end = RUNNING.exec(entry.slice(-40));
  const [middle, work] = WORK.exec(entry) ?? [];
  if (!end || middle === undefined) return null;
  const at = entry.indexOf(middle);
  const name = entry.slice(2, at);
  const inner = entry.slice(at + middle.length, -end[0].length);
  const reasons = inner.startsWith("(") ? inner : "";
  return {
    name,
    connected: true,
    workerPause: reasons.includes("worker pause"),
    adminPause: reasons.includes("admin pause"),
    shuttingDown: reasons.includes("shutting down"),
    capacity: null,
    running: Number(end[1]),
    queue: jobs.add(inner.startsWith("[") ? inner.slice(1) : ""),
    work: Number(work),
  };
}

const PAUSED = " (paused)";

function parseDisconnected(entry: string): WorkerReport {
  const adminPause = entry.endsWith(PAUSED);
  return {
    name: entry.slice(2, adminPause ? -PAUSED.length : undefined),
    connected: false,
    workerPause: false,
    adminPause,
    shuttingDown: false,
    capacity: null,
    running: 0,
    queue: { urgent: 0, other: 0 },
    work: 0,
  };
}

function parseClients(text: string, jobs: JobTally): PoolMonitor.ClientState[] {
  return text.split(/\s+(?=\S*\(\d+\))/).flatMap((entry) => {
    const [, id, rate, delay, unit] = /^(.+)\((\d+)\)(?:\+(\d+)([sm]))?$/s.exec(entry.trim()) ?? [];
    if (id === undefined) return [];
    return {
      id,
      rate: Number(rate),
      delay: Number(delay ?? 0) * (unit === "m" ? 60 : 1),
      queued: jobs.of(id),
    };
  });
}

/** Where a job in a list ends: `@5s`, `@2m+urgent`, `@-3s(10)`, `@5s(2+urgent)`. */
const JOB_END = /@-?(?:\d+|inf|nan)[sm](\+urgent|\(\d+(?:\+urgent)?\))?(?=\s|$)/;

/** Counts jobs in lists, in all and by client. */
class JobTally {
  private readonly byClient = new Map<string, { urgent: number; other: number }>();

  /** Returns how many are in the list, `CLIENT:HINT@TIME …`. */
  add(list: string): PoolMonitor.JobCount {
    const count = { urgent: 0, other: 0 };
    // One part for each job, alternating with its end's suffix, and what is left.
    const parts = list.split(JOB_END);
    for (let i = 0; i + 1 < parts.length; i += 2) {
      const [client] = parts[i]!.trimStart().split(":", 1);
      const urgency = parts[i + 1]?.includes("urgent") ? "urgent" : "other";
      count[urgency]++;
      const known = this.byClient.get(client!) ?? { urgent: 0, other: 0 };
      known[urgency]++;
      this.byClient.set(client!, known);
    }
    return count;
  }

  of(client: string): PoolMonitor.JobCount {
    return this.byClient.get(client) ?? { urgent: 0, other: 0 };
  }
}
