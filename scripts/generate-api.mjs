// Regenerates the TypeScript of all schemas. Needs the `capnp` compiler (Debian: capnproto).
// The output is committed, so that neither a build nor a user needs the compiler.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const SCHEMAS = {
  "schema/ocluster": "src/api/generated/ocluster",
  "schema/extensions": "src/api/generated/extensions",
  "test/interop/test": "test/interop/generated/test",
  "examples/rpc-hello": "examples/generated/rpc-hello",
};

for (const [schema, output] of Object.entries(SCHEMAS)) {
  // capnp-es writes only below the current directory, under the schema's own path.
  const out = mkdtempSync("src/api/generated-");
  try {
    execFileSync("npx", ["capnp-es", `${schema}.capnp`, `-ots:${out}`], { stdio: "inherit" });
    writeFileSync(
      `${output}.ts`,
      exact(withoutUnused(readFileSync(`${out}/${schema}.ts`, "utf8"))),
    );
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/**
 * Without the imports from other schemas that nothing refers to: the compiler imports more than is
 * used.
 * @param {string} code
 */
function withoutUnused(code) {
  return code.replace(/^import \{ (.*) \} from "(\..*)";$/gm, (_, list, from) => {
    const used = list.split(", ").filter((/** @type {string} */ name) => {
      return code.split(new RegExp(`\\b${name.replace("$", "\\$")}\\b(?!\\$)`)).length > 2;
    });
    return `import { ${used.join(", ")} } from "${from}";`;
  });
}

/**
 * With absent values left out: the compiler passes `undefined` on, which
 * `exactOptionalPropertyTypes` takes for a value.
 * @param {string} code
 */
function exact(code) {
  return code.replaceAll("paramsFunc: paramsFunc\n", "...(paramsFunc && { paramsFunc })\n");
}
