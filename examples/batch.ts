/**
 * A batch from a program: rows are added as they are known, and results come as an async iterator.
 *
 *     npm run build
 *     node scripts/run-ts.mjs examples/batch.ts submission.cap linux-x86_64
 */
import { Batch } from "ocluster/client";

const [connect, pool] = process.argv.slice(2);
if (connect === undefined || pool === undefined) throw new Error("usage: batch.ts CAP POOL");

const spec = '((from busybox) (shell /bin/sh -c) (run (shell "echo hello {name}")))';
const batch = await Batch.open({ connect, pool, name: "hello", spec, columns: ["name"] });
try {
  await batch.add([{ key: "1", values: { name: "O'Hara" } }]);
  await batch.add([
    { key: "2", values: { name: "$(id)" } },
    { key: "3", values: { name: '") (run' } },
  ]);
  await batch.close();
  const keys: string[] = [];
  for await (const { key, reason, state } of batch.results()) {
    if (state !== "succeeded") throw new Error(`Row ${key}: ${reason}`);
    keys.push(key);
  }
  console.log(`${keys.length} rows have ended: ${keys.sort().join(", ")}`);
} finally {
  await batch[Symbol.asyncDispose]();
}
