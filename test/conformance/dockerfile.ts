/** `npm run -s conformance -- dockerfile DIR…`: specs as Dockerfiles. */

import { dockerfileOf } from "../../src/obuilder/dockerfile/from-spec.js";
import { readSpec } from "../../src/obuilder/spec/spec-reader.js";
import { bytesOf, type DockerfileCase, textOf } from "../support/obuilder-cases.js";
import { loadDir, runCases } from "./cases.js";
import { differences } from "./report.js";

export function run(args: string[]): Promise<number> {
  return runCases<DockerfileCase>({ usage: "dockerfile DIR...", load: loadDir, check }, args);
}

function check({ spec, output, buildkit, escape: escapeStyle }: DockerfileCase): string[] {
  const style = { buildkit, escape: escapeStyle };
  return differences(textOf(output), dockerfileOf(readSpec(bytesOf(spec)), style), "output");
}
