/**
 * What became of a client's jobs, and how long they had to wait.
 */

/**
 * How a job ended. "lost": with a worker or a connection; "refused": the scheduler did not want it.
 */
export const ENDS = ["done", "failed", "cancelled", "lost", "refused"] as const;
export type End = (typeof ENDS)[number];

/**
 * Waiting times that are remembered: enough for percentiles of the recent past, in a run of any
 * length.
 */
const MEMORY = 10_000;

export class Figures {
  submitted = 0;
  waiting = 0;
  running = 0;
  readonly ended: Record<End, number> = { done: 0, failed: 0, cancelled: 0, lost: 0, refused: 0 };
  /** Seconds from submission to start; the newest replace the oldest. */
  readonly #waits: number[] = [];
  #started = 0;

  jobSubmitted(): void {
    this.submitted++;
    this.waiting++;
  }

  jobStarted(waitedSeconds: number): void {
    this.waiting--;
    this.running++;
    this.#waits[this.#started++ % MEMORY] = waitedSeconds;
  }

  jobEnded(end: End, { started }: { readonly started: boolean }): void {
    if (started) this.running--;
    else this.waiting--;
    this.ended[end]++;
  }

  /** The waiting time, in s, that so many of 100 jobs did not exceed; 0 if none has started. */
  waited(percent: number): number {
    const sorted = [...this.#waits].sort((a, b) => a - b);
    const at = Math.ceil((percent / 100) * sorted.length) - 1;
    return sorted[Math.max(0, at)] ?? 0;
  }
}

const COUNTS = ["submitted", "waiting", "running"] as const;
const PERCENTILES = [50, 95];
const WIDTH = 11;

function row(name: string, cells: readonly string[]): string {
  return name.padEnd(14) + cells.map((cell) => cell.padStart(WIDTH)).join("");
}

/** A table of all clients, after so many seconds. */
export function table(seconds: number, clients: Iterable<readonly [string, Figures]>): string {
  const waits = PERCENTILES.map((percent) => `wait ${percent} %`);
  const head = row(`after ${seconds} s`, [...COUNTS, ...ENDS, ...waits]);
  const lines = [...clients].map(([name, figures]) =>
    row(name, [
      ...COUNTS.map((count) => String(figures[count])),
      ...ENDS.map((end) => String(figures.ended[end])),
      ...PERCENTILES.map((percent) => `${figures.waited(percent).toFixed(2)} s`),
    ]),
  );
  return `${[head, ...lines].join("\n")}\n`;
}
