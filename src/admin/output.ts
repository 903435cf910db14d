/** What the admin's commands print: lines on standard output, and the state of things for people and for programs. */
import type { PoolAdmin } from "../api/index.js";
import { INVISIBLE, visible } from "../text/visible.js";

/** Text of one or more lines. Names in it come from the network: on a terminal they are kept from acting on it. */
export function printLine(text: string): void {
  const shown = process.stdout.isTTY ? text.split("\n").map(visible).join("\n") : text;
  process.stdout.write(`${shown}\n`);
}

export function printJson(value: unknown): void {
  const text = JSON.stringify(value).replace(INVISIBLE, (character) =>
    // JSON's escapes are of UTF-16 code units.
    Array.from({ length: character.length }, (_, i) => {
      const code = character.charCodeAt(i);
      return `\\u${code.toString(16).padStart(4, "0")}`;
    }).join(""),
  );
  process.stdout.write(`${text}\n`);
}

/** `name (disconnected, paused)` */
export function describeWorker({ name, active, connected }: PoolAdmin.WorkerInfo): string {
  const notes = [...(connected ? [] : ["disconnected"]), ...(active ? [] : ["paused"])];
  return notes.length === 0 ? name : `${name} (${notes.join(", ")})`;
}
