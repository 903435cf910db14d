/**
 * `batch`, and the commands that look after batches.
 */

import { Option } from "@commander-js/extra-typings";
import {
  argument,
  command,
  described,
  duration,
  existingFile,
  integer,
  nonEmpty,
  option,
  type Parser,
  repeatedOption,
  secretFile,
  seldom,
  ValueError,
} from "../cli/index.js";
import { UsageError } from "../console/index.js";
import { count, countOrInfinite } from "./durable-options.js";
import { recordsCommand, recordsOptions } from "./job-commands.js";
import { toldApart } from "./told-apart.js";
import { OWNER, usualConnect, usualPoolOption } from "./usual-options.js";

const range = described(
  (text) => {
    const [, from, to] = /^(\d{1,15})(?:-|\.\.)(\d{1,15})$/.exec(text) ?? [];
    if (from === undefined || Number(to) < Number(from)) {
      throw new ValueError(`invalid value '${text}', expected two numbers such as 1-5000`);
    }
    return { from: Number(from), to: Number(to) };
  },
  { meaning: "the first and the last number: 1-5000" },
);

/** How many failures are too many: a number, or a share of all rows. */
const failures = described(
  (text) => {
    const [, number, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? [];
    const value = Number(number);
    if (number === undefined || (percent === "" ? !Number.isInteger(value) : value > 100)) {
      throw new ValueError(
        `invalid value '${text}', expected a number, or a percentage such as 2%`,
      );
    }
    return percent === "" ? { maxFailures: value } : { maxFailuresPercent: value };
  },
  { meaning: "a number, or a percentage of all rows: 2%" },
);

/** An option without a value. */
function flag<F extends string>(name: F, description: string) {
  return new Option(name, description).default(false);
}

/** A batch's number or name. */
const batchId: Parser<number | string> = (text) => {
  if (text === "") throw new ValueError("invalid value '', expected a batch's number or name");
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
};

const BATCH_TEXT = "The batch's number or name.";

const FETCH = {
  logs: option("--logs <DIR>", "Put rows' logs there as they end; or a path with {key}.", nonEmpty),
  results: option("--results <FILE>", "A line for each row that ends, of CSV or JSON.", nonEmpty),
  output: repeatedOption("--output <REMOTE:LOCAL>", "Fetch results; {key} is in LOCAL.", nonEmpty),
} as const;

const batch = command("batch", "Submit one template with many rows, a job for each.", [
  "ocluster-client -c submission.cap batch --pool=linux-x86_64 \\",
  "  --spec=tile.spec --each=tiles.csv --key='{lat}_{lon}' --logs=logs",
])
  .addOption(usualConnect())
  .addOption(usualPoolOption())
  .addOption(
    option("--spec <FILE>", "A spec with {column} where a row's value goes.", existingFile),
  )
  .addOption(
    repeatedOption(
      "--each <ROWS>",
      "Rows: .csv, .tsv, .json, .jsonl, or lines ({item}); - is standard input.",
      nonEmpty,
    ),
  )
  .addOption(option("--range <RANGE>", "A row for each number, {n}.", range))
  .addOption(option("--key <TEXT>", "What to call a row (default: its number).", nonEmpty))
  .addOption(option("--name <NAME>", "What to call the batch: the same again goes on.", nonEmpty))
  .addOption(option("--retries <N>", "Attempts after a failed one (default: 0).", count))
  .addOption(FETCH.logs)
  .addOption(FETCH.results)
  .addOption(FETCH.output)
  .addOption(option("--canary <N>", "The first N rows must succeed before others begin.", count))
  .addOption(option("--max-running <N>", "Not more at a time.", integer({ min: 1 })))
  .addOption(option("--max-failures <LIMIT>", "Stop when more rows have failed.", failures))
  .option("--dry-run", "Print the first jobs, and submit nothing.", false)
  .option("--detach", "Print the batch's number and end.", false)
  .option("--fresh", "Run all rows, whatever has succeeded before.", false)
  .option("--json", "Print the batch as JSON at the end.", false)
  .addOption(seldom(option("--skip <N>", "Leave out the first N rows.", count)))
  .addOption(seldom(option("--limit <N>", "Take no more than N rows.", integer({ min: 1 }))))
  .addOption(seldom(flag("--allow-unused", "Columns that nothing uses are no mistake.")))
  .addOption(
    seldom(
      option(
        "--lost-retries <N>",
        "Attempts after one that was lost with its worker, or infinite (default: 5).",
        countOrInfinite,
      ),
    ),
  )
  .addOption(
    seldom(
      option("--retry-delay <TIME>", "Pause after a failed attempt (default: none).", duration),
    ),
  )
  .addOption(
    seldom(
      option("--timeout <TIME>", "How long an attempt may run (default: any time).", duration),
    ),
  )
  .addOption(
    seldom(
      option(
        "--cache-hint <STRING>",
        "Jobs with the same hint share a worker's cache.",
        String,
      ).default(""),
    ),
  )
  .addOption(seldom(flag("--urgent", "Before all jobs that are not urgent.")))
  .addOption(seldom(repeatedOption("--secret <ID:FILE>", "A secret for all rows.", secretFile)))
  .addOption(
    seldom(option("--local-dockerfile <PATH>", "Instead of --spec: a Dockerfile.", existingFile)),
  )
  .addOption(
    seldom(
      option(
        "--context-dockerfile <PATH>",
        "Instead of --spec: a Dockerfile in the commit.",
        nonEmpty,
      ),
    ),
  )
  .addOption(
    seldom(
      repeatedOption("--build-arg <ARG>", "Docker build argument, with {column} in it.", String),
    ),
  )
  .addOption(seldom(flag("--buildkit", "Use BuildKit to build.")))
  .argument("[URL]", "Git repository of the build context.")
  .argument("[HASH...]", "Commits to use, by full hash; they are merged.")
  .action(
    toldApart(async (url, hashes, options) => {
      const { dockerAction, readSecrets, sourceOf } = await import("../client/index.js");
      const { runBatch } = await import("../client/batch/index.js");
      const { buildArg, contextDockerfile, localDockerfile, spec } = options;
      const isDocker = localDockerfile !== undefined || contextDockerfile !== undefined;
      if (isDocker === (spec !== undefined)) {
        throw new UsageError("give one of --spec, --local-dockerfile and --context-dockerfile");
      }
      if (options.detach && (options.logs !== undefined || options.results !== undefined)) {
        throw new UsageError(
          "With --detach nothing is fetched: `ocluster-client batch fetch` does so later.",
        );
      }
      const outputs = options.output.map((text) => text.replace(/^((?:\\.|[^\\:])*).*$/s, "$1"));
      const { buildkit, cacheHint, canary, dryRun, fresh, maxFailures, maxRunning, name } = options;
      const { allowUnused, lostRetries, pool, retries, retryDelay, timeout, urgent } = options;
      const given = (values: object) =>
        Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
      const none = { push: undefined, squash: false, includeGit: false };
      await runBatch({
        ...recordsOptions(options),
        input: {
          build:
            spec === undefined
              ? {
                  kind: "docker",
                  action: dockerAction({
                    localDockerfile,
                    contextDockerfile,
                    buildArg,
                    buildkit,
                    ...none,
                  }),
                }
              : { kind: "spec", file: spec },
          each: options.each,
          range: options.range,
          key: options.key,
          cacheHint,
          source: sourceOf(url, hashes),
          secrets: readSecrets(options.secret),
          skip: options.skip ?? 0,
          limit: options.limit ?? Number.POSITIVE_INFINITY,
          allowUnused,
        },
        settings: {
          ...{ name, fresh, pool, urgent },
          options: given({
            ...{ retries, lostRetries, retryDelay, timeout },
            outputs:
              outputs.length === 0
                ? undefined
                : { paths: [...new Set(outputs)], when: "success", optional: false },
          }),
          rules: given({ canary, maxRunning, ...maxFailures }),
        },
        ...{ dryRun, detach: options.detach, json: options.json },
        ...{ logs: options.logs, results: options.results, outputs: options.output },
      });
    }),
  );

function batchCommand(name: string, summary: string, examples: readonly string[]) {
  return recordsCommand(
    OWNER,
    `batch ${name}`,
    summary,
    examples.map((line) => `batch ${line}`),
  );
}

/** A command that fetches what the rows of a batch leave. */
function fetchingCommand(name: string, summary: string, examples: readonly string[]) {
  return batchCommand(name, summary, examples)
    .addOption(FETCH.logs)
    .addOption(FETCH.results)
    .addOption(FETCH.output)
    .option("--json", "Print the batch as JSON at the end.", false)
    .addArgument(argument("<BATCH>", BATCH_TEXT, batchId));
}

const watch = fetchingCommand(
  "watch",
  "Look on until a batch has ended; fails unless all succeed.",
  ["watch tiles", "watch 17 --logs=logs --results=results.csv"],
).action(
  toldApart(async (id, options) => {
    const { watchBatch } = await import("../client/batch/index.js");
    const { json, logs, output: outputs, results } = options;
    const fetched = { logs, outputs, results };
    await watchBatch({ ...recordsOptions(options), batch: id, follow: true, json, ...fetched });
  }),
);

const fetch = fetchingCommand("fetch", "Fetch what is missing here of rows that have ended.", [
  "fetch tiles --logs=logs --results=results.jsonl",
]).action(
  toldApart(async (id, options) => {
    const { json, logs, output: outputs, results } = options;
    const byDefault = logs === undefined && results === undefined && outputs.length === 0;
    const { fetchBatch } = await import("../client/batch/index.js");
    const fetched = { logs, outputs, results, byDefault };
    await fetchBatch({ ...recordsOptions(options), batch: id, json, ...fetched });
  }),
);

const show = batchCommand("show", "Show how a batch goes.", [
  "show tiles",
  "show tiles --failed --json",
])
  .option("--failed", "The rows that have failed.", false)
  .option("--rows", "All rows that have ended.", false)
  .option("--json", "Print JSON, one line each.", false)
  .addArgument(argument("<BATCH>", BATCH_TEXT, batchId))
  .action(
    toldApart(async (id, options) => {
      const { showBatch } = await import("../client/batch/index.js");
      const { failed, json } = options;
      const rows = failed ? "failed" : options.rows ? "all" : "none";
      await showBatch({ ...recordsOptions(options), batch: id, rows, json });
    }),
  );

const list = batchCommand("list", "List your batches, the newest first.", ["list", "list --json"])
  .option("--json", "Print JSON, one line for each batch.", false)
  .action(
    toldApart(async (options) => {
      const { listBatches } = await import("../client/batch/index.js");
      await listBatches({ ...recordsOptions(options), json: options.json });
    }),
  );

const cancel = batchCommand("cancel", "Cancel a batch, with what it runs.", ["cancel tiles"])
  .option("--json", "Print the batch as JSON.", false)
  .addArgument(argument("<BATCH>", BATCH_TEXT, batchId))
  .action(
    toldApart(async (id, options) => {
      const { cancelBatch } = await import("../client/batch/index.js");
      await cancelBatch({ ...recordsOptions(options), batch: id, json: options.json });
    }),
  );

const retry = batchCommand("retry", "Have a batch go on: rows that did not succeed run again.", [
  "retry tiles --failed",
  "retry tiles --key=52_21 --key=52_22",
])
  .option("--failed", "All rows that did not succeed (this is what it does without --key).", false)
  .addOption(repeatedOption("--key <KEY>", "Only this row.", nonEmpty))
  .option("--json", "Print the batch as JSON.", false)
  .addArgument(argument("<BATCH>", BATCH_TEXT, batchId))
  .action(
    toldApart(async (id, options) => {
      const { failed, json, key: keys } = options;
      if (failed && keys.length > 0) throw new UsageError("--failed and --key exclude each other");
      const { retryBatch } = await import("../client/batch/index.js");
      await retryBatch({ ...recordsOptions(options), batch: id, keys, json });
    }),
  );

export const BATCH_COMMANDS = [batch, watch, show, list, cancel, retry, fetch] as const;
