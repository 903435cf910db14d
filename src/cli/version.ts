/** The version of this package, as its package.json says. */
import { readFileSync } from "node:fs";

/** Such as "0.1.0". */
export function version(): string {
  const manifest: unknown = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  return (manifest as { version: string }).version;
}
