/** The version of this package, as its package.json says. */
import { createRequire } from "node:module";

/** Such as "0.1.0". */
export function version(): string {
  // By the package's own name: bundled or not, this file may lie anywhere in it.
  const manifest: unknown = createRequire(import.meta.url)("ocluster/package.json");
  return (manifest as { version: string }).version;
}
