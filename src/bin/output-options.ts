/**
 * Options of the commands that submit a job: which files of its result are wanted, and where.
 */
import type { OutputOrder } from "../api/index.js";
import { oneOf, option, type Parser, repeatedOption, seldom, ValueError } from "../cli/index.js";
import { type OutputSpec, readOutputSpec } from "../client/outputs/output-spec.js";
import { UsageError } from "../console/index.js";

/** `REMOTE:LOCAL` */
const outputSpec: Parser<OutputSpec> = (text) => {
  const spec = readOutputSpec(text);
  if (typeof spec === "string") throw new ValueError(`invalid value '${text}': ${spec}`);
  return spec;
};

/** In the order of the help. */
export const OUTPUT_OPTIONS = {
  output: repeatedOption("--output <REMOTE:LOCAL>", "Files of the result to fetch.", outputSpec),
  outputOn: seldom(
    option(
      "--output-on <WHEN>",
      "Of which jobs (default: success).",
      oneOf(["success", "failure", "always"]),
    ),
  ),
  outputOptional: seldom(option("--output-optional", "What is not there is no failure.", Boolean)),
} as const;

export interface OutputCommand {
  readonly output: readonly OutputSpec[];
  readonly outputOn?: OutputOrder["when"] | undefined;
  readonly outputOptional?: boolean | undefined;
  readonly detach: boolean;
  readonly json: boolean;
}

/**
 * Which files are to be kept; undefined: none. Throws a `UsageError` for options that make no sense
 * together.
 */
export function outputOrder(options: OutputCommand): OutputOrder | undefined {
  const { detach, json, output, outputOn = "success", outputOptional = false } = options;
  if (output.length === 0) {
    if (options.outputOn === undefined && !outputOptional) return undefined;
    const flag = outputOptional ? "--output-optional" : "--output-on";
    throw new UsageError(`${flag} says nothing without --output.`);
  }
  const placeless = output.find(({ local }) => local === null);
  if (placeless && !detach) {
    throw new UsageError(
      `option '--output': where to put '${placeless.remote}'? Give REMOTE:LOCAL, or --detach.`,
    );
  }
  const printed = output.filter(({ local }) => local?.kind === "stdout");
  if (printed.length > 1 || (printed.length > 0 && json)) {
    throw new UsageError(
      "Only one thing can go to standard output: a file of --output, or --json.",
    );
  }
  const paths = [...new Set(output.map(({ remote }) => remote))];
  return { paths, when: outputOn, optional: outputOptional };
}
