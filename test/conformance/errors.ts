/**
 * `npm run -s conformance -- errors FILE…`: what is wrong with a spec or a step, and how it is
 * said.
 */

import { BuildError } from "../../src/obuilder/errors.js";
import { SexpError } from "../../src/obuilder/sexp/errors.js";
import { readSpec } from "../../src/obuilder/spec/spec-reader.js";
import { bytesOf, type ErrorCase, textOf } from "../support/obuilder-cases.js";
import { loadJson, runCases } from "./cases.js";
import { record } from "./recording.js";
import { differences } from "./report.js";

export function run(args: string[]): Promise<number> {
  const load = (file: string) =>
    loadJson<ErrorCase[]>(file).map((data) => ({ name: data.name, data }));
  return runCases<ErrorCase>({ usage: "errors FILE...", load, check }, args);
}

async function check(wanted: ErrorCase): Promise<string[]> {
  return wanted.stage === "build" ? await checkBuild(wanted) : checkSpec(wanted);
}

function checkSpec(wanted: ErrorCase): string[] {
  const error = readError(wanted);
  if (!error) return ["expected an error, but the spec was read"];
  const found = differences(wanted.kind, error.kind, "kind");
  if (wanted.kind === "Of_sexp_error") {
    for (const part of [wanted.message, wanted.about ?? ""].map(textOf)) {
      if (!error.message.includes(part)) found.push(...differences(part, error.message, "message"));
    }
    return found;
  }
  found.push(...differences(textOf(wanted.message), error.message, "message"));
  if (wanted.kind === "Parse_error") {
    const { line, column } = error.position ?? {};
    const char = column === undefined ? undefined : column - 1;
    found.push(...differences({ line: wanted.line, char: wanted.char }, { line, char }));
  }
  if (wanted.message_file !== undefined) {
    const message = readError(wanted, "FILE")?.message;
    found.push(...differences(textOf(wanted.message_file), message, "message_file"));
  }
  return found;
}

function readError({ spec }: ErrorCase, file?: string): SexpError | undefined {
  try {
    readSpec(bytesOf(spec), file);
    return undefined;
  } catch (error) {
    if (error instanceof SexpError) return error;
    throw error;
  }
}

async function checkBuild(wanted: ErrorCase): Promise<string[]> {
  const { error, log } = await record(bytesOf(wanted.spec), wanted);
  const message = error instanceof BuildError ? error.message : `no BuildError: ${error}`;
  return [
    ...differences(textOf(wanted.message), message, "message"),
    ...(wanted.log ? differences(wanted.log, log, "log") : []),
  ];
}
