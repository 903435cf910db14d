/** What the admin's commands print: lines on standard output, and the state of things for people and for programs. */
import type { PoolAdmin } from "../api/index.js";

export function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function printJson(value: unknown): void {
  printLine(JSON.stringify(value));
}

/** `name (disconnected, paused)` */
export function describeWorker({ name, active, connected }: PoolAdmin.WorkerInfo): string {
  const notes = [...(connected ? [] : ["disconnected"]), ...(active ? [] : ["paused"])];
  return notes.length === 0 ? name : `${name} (${notes.join(", ")})`;
}
