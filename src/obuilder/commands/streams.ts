/*
 * Standard input and output, as commands use them.
 */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { toBytes } from "../../text/index.js";

/** Its descriptor. */
const STDIN = 0;

/** A file, or `-` for standard input. */
export function readInput(file: string): Buffer {
  return readFileSync(file === "-" ? STDIN : file);
}

export async function print(line: string): Promise<void> {
  await writeOut(toBytes(`${line}\n`));
}

/** Resolves when there is room for more. */
export async function writeOut(data: Uint8Array): Promise<void> {
  if (!process.stdout.write(data)) await once(process.stdout, "drain");
}
