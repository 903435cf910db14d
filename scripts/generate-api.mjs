// Regenerates src/api/generated from schema/ocluster.capnp. Needs the `capnp` compiler (Debian: capnproto).
// The output is committed, so that neither a build nor a user needs the compiler.
import { execFileSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync } from "node:fs";

// capnp-es writes only below the current directory, under the schema's own path.
const out = mkdtempSync("src/api/generated-");
try {
  execFileSync("npx", ["capnp-es", "schema/ocluster.capnp", `-ots:${out}`], { stdio: "inherit" });
  renameSync(`${out}/schema/ocluster.ts`, "src/api/generated/ocluster.ts");
} finally {
  rmSync(out, { recursive: true, force: true });
}
