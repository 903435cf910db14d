/** What the model of the pool (`model.ts`) consists of. */

export interface Job {
  readonly client: string;
  readonly name: string;
  readonly hint: string;
  readonly urgent: boolean;
  readonly avoids: readonly string[];
  readonly needs: readonly string[];
  readonly start: number;
  readonly order: number;
  /** Where it is queued; null when it is not. */
  place: "backlog" | "aside" | Worker | null;
  cost: number;
}

export interface Worker {
  readonly name: string;
  readonly capacity: number;
  readonly reasons: Set<string>;
  released: boolean;
  running: number;
  /** Null: everything. */
  abilities: readonly string[] | null;
}

export interface Pop {
  readonly worker: Worker;
  /** `pending`, `finished` or a job's name. */
  state: string;
  waitsFor: "activity" | "job" | "settling" | "nothing";
}

export const inOrder = (a: Job, b: Job) =>
  Number(b.urgent) - Number(a.urgent) || a.start - b.start || a.order - b.order;

export const byName = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

export function isAble({ abilities }: Worker, { needs }: Job): boolean {
  return abilities === null || needs.every((need) => abilities.includes(need));
}

export function isActive(worker: Worker): boolean {
  return worker.reasons.size === 0;
}
