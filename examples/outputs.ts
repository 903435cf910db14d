/**
 * Files of a job's result from a program: which there are, one of them as bytes, and all into a
 * directory.
 *
 *     npm run build
 *     node scripts/run-ts.mjs examples/outputs.ts submission.cap 17 results
 */
import { JobOutputs } from "ocluster/client";

const [connect, job, directory] = process.argv.slice(2);
if (connect === undefined || directory === undefined) {
  throw new Error("usage: outputs.ts CAP JOB DIRECTORY");
}

const outputs = await JobOutputs.open({ connect, job: Number(job) });
try {
  for (const { path, size, type } of outputs.files) {
    console.log(`${type} ${path}${size === null ? "" : ` (${size} bytes)`}`);
  }
  const first = outputs.files.find(({ type }) => type === "file");
  if (first) for await (const data of outputs.read(first.path)) process.stdout.write(data);
  const top = outputs.files[0]!;
  const { files, local } = await outputs.fetch(top.path, directory);
  console.log(`${files} files are in ${local}`);
} finally {
  await outputs[Symbol.asyncDispose]();
}
