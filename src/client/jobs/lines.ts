/** Standard output of commands whose output can be long: a reader that is slow is waited for. */
import { once } from "node:events";

/** Writes whole lines. Fulfilled when there is room for more. */
export async function writeLines(lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await writeText(`${lines.join("\n")}\n`);
}

export async function writeText(text: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, "drain");
}
