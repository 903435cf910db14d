/** `npm run -s conformance -- obuilder DIR…`: whole builds, step by step. */

import { createHash } from "node:crypto";
import { toMachine } from "../../src/obuilder/sexp/printer.js";
import { formatSpec, sexpOfSpec } from "../../src/obuilder/spec/spec-printer.js";
import { readSpec } from "../../src/obuilder/spec/spec-reader.js";
import {
  type BuildCase,
  bytesOf,
  decodeBytes,
  type ExpectedStep,
  textOf,
} from "../support/obuilder-cases.js";
import { loadDir, runCases } from "./cases.js";
import { record } from "./recording.js";
import { differences } from "./report.js";

export function run(args: string[]): Promise<number> {
  return runCases<BuildCase>({ usage: "obuilder DIR...", load: loadDir, check }, args);
}

async function check({ expected, ...data }: BuildCase): Promise<string[]> {
  const spec = readSpec(bytesOf(data.spec));
  const { result, error, log, steps } = await record(bytesOf(data.spec), data);
  return [
    ...(error === undefined ? [] : [`the build failed: ${error}`]),
    ...differences(textOf(expected.canonical), toMachine(sexpOfSpec(spec)), "canonical"),
    ...differences(textOf(expected.pretty), formatSpec(spec), "pretty"),
    ...differences(expected.steps.map(comparable), steps, "steps"),
    ...differences(expected.log, log, "log"),
    ...differences(expected.result, result, "result"),
    ...expected.steps.flatMap(checkHash),
  ];
}

/** An id that is right was made from the right text, if the text is that of the id. */
function checkHash({ id, hashed }: ExpectedStep, i: number): string[] {
  const hash = createHash("sha256").update(bytesOf(hashed)).digest("hex");
  return differences(id, hash, `SHA-256 of steps[${i}].hashed`);
}

/** The step without what is not recorded: the hashed text, and times that are those of the run. */
function comparable({ hashed: _, tar, ...step }: ExpectedStep): object {
  const entries = tar?.map(({ mtime, ...entry }) => (mtime === null ? entry : { ...entry, mtime }));
  return decodeBytes(entries ? { ...step, tar: entries } : step) as object;
}
