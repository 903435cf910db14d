/**
 * What the admin's commands print: lines on standard output, and the state of things for people and
 * for programs.
 */
import type { PoolAdmin } from "../api/index.js";
import { visibleJson, visibleLines } from "../text/index.js";

/**
 * Text of one or more lines. Names in it come from the network: on a terminal they are kept from
 * acting on it.
 */
export function printLine(text: string): void {
  const shown = process.stdout.isTTY ? visibleLines(text) : text;
  process.stdout.write(`${shown}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${visibleJson(value)}\n`);
}

/** `name (disconnected, paused)` */
export function describeWorker({ name, active, connected }: PoolAdmin.WorkerInfo): string {
  const notes = [...(connected ? [] : ["disconnected"]), ...(active ? [] : ["paused"])];
  return notes.length === 0 ? name : `${name} (${notes.join(", ")})`;
}
