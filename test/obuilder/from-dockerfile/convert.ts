/**
 * Conversions of small Dockerfiles, for tests that look at what becomes of a line.
 */
import {
  type FromDockerfileOptions,
  specFromDockerfile,
} from "../../../src/obuilder/dockerfile/convert.js";
import { DockerfileError, type Problem } from "../../../src/obuilder/dockerfile/errors.js";
import { NO_SETTINGS } from "../../../src/obuilder/dockerfile/image-settings.js";
import { toMachine } from "../../../src/obuilder/sexp/printer.js";
import { formatSpec, sexpOfOp } from "../../../src/obuilder/spec/spec-printer.js";

/** The spec, as it is printed. */
export function convert(lines: string[], options?: FromDockerfileOptions): string {
  return formatSpec(specFromDockerfile(`${lines.join("\n")}\n`, options).spec);
}

/** The operations that one stage with these lines comes to. */
export function ops(lines: string[], options?: FromDockerfileOptions): string[] {
  const { spec } = specFromDockerfile(["FROM a", ...lines].join("\n"), options);
  return spec.ops.map((op) => toMachine(sexpOfOp(op)));
}

/** What is said about one stage with these lines, of an image that sets nothing. */
export function warnings(lines: string[], options?: FromDockerfileOptions): readonly Problem[] {
  const text = ["FROM a", ...lines].join("\n");
  return specFromDockerfile(text, { imageSettings: () => NO_SETTINGS, ...options }).warnings;
}

/** What is said of a Dockerfile that does not become a spec. */
export function problems(lines: string[], options?: FromDockerfileOptions): readonly Problem[] {
  try {
    specFromDockerfile(lines.join("\n"), options);
  } catch (error) {
    if (error instanceof DockerfileError) return error.problems;
    throw error;
  }
  throw new Error("it was converted");
}
