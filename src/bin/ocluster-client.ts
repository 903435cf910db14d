#!/usr/bin/env node
/**
 * `ocluster-client`: submits jobs to a scheduler, and looks after those that it keeps.
 */
import { Option } from "@commander-js/extra-typings";
import type { Action, Secret, Source } from "../api/index.js";
import {
  argument,
  command,
  directory,
  duration,
  existingFile,
  imageTarget,
  integer,
  nonEmpty,
  oneOf,
  option,
  program,
  repeatedArgument,
  repeatedOption,
  runMain,
  secretFile,
  seldom,
} from "../cli/index.js";
import { CONTEXT_ACTIONS } from "../client/contexts.js";
import { BATCH_COMMANDS } from "./batch-commands.js";
import {
  CONTEXT_OPTIONS,
  type ContextOrder,
  checkIncludeGit,
  contextOrder,
} from "./context-options.js";
import { DURABLE_OPTIONS, type DurableCommand, durableOptions } from "./durable-options.js";
import {
  cancelCommand,
  JOB_TEXT,
  jobCommand,
  jobNumber,
  jobsCommand,
  logsCommand,
  recordsCommand,
  recordsOptions,
  runJobs,
} from "./job-commands.js";
import { OUTPUT_OPTIONS, type OutputCommand } from "./output-options.js";
import { rpcFailure } from "./rpc-failure.js";
import { toldApart } from "./told-apart.js";
import { OWNER, usualConnect, usualPoolOption } from "./usual-options.js";

/** As the reference's programs end, or told apart; see `client/failure.ts`. */
const EXIT_CODES = ["reference", "fine"] as const;

/** A command that submits a job. */
function submitCommand(
  name: string,
  summary: string,
  examples: readonly string[],
  exitCodes: (typeof EXIT_CODES)[number] = "reference",
) {
  return command(name, summary, examples)
    .addOption(usualConnect())
    .addOption(usualPoolOption())
    .addOption(
      option(
        "--cache-hint <STRING>",
        "Jobs with the same hint share a worker's cache.",
        String,
      ).default(""),
    )
    .option("--urgent", "Before all jobs that are not urgent.", false)
    .addOption(repeatedOption("--secret <ID:FILE>", "A secret for the build.", secretFile))
    .addOption(CONTEXT_OPTIONS.context)
    .addOption(CONTEXT_OPTIONS.ignoreFile)
    .addOption(
      option("--log-file <FILE>", "Write the job's log there, not on standard output.", nonEmpty),
    )
    .option("--json", "Result as JSON, log on standard error.", false)
    .addOption(
      seldom(
        option(
          "--exit-codes <STYLE>",
          "fine: a status for each kind of failure.",
          oneOf(EXIT_CODES),
        ),
      ).default(exitCodes),
    )
    .addOption(
      seldom(
        new Option("--unchecked", "Submit it even if this client does not understand it.").default(
          false,
        ),
      ),
    )
    .option("--detach", "Print its number and end: the scheduler keeps it.", false)
    .option("--durable", "Follow it, but do not cancel it when interrupted.", false)
    .addOption(OUTPUT_OPTIONS.output)
    .addOption(OUTPUT_OPTIONS.outputOn)
    .addOption(OUTPUT_OPTIONS.outputOptional)
    .addOption(DURABLE_OPTIONS.name)
    .addOption(DURABLE_OPTIONS.key)
    .addOption(DURABLE_OPTIONS.retries)
    .addOption(DURABLE_OPTIONS.lostRetries)
    .addOption(DURABLE_OPTIONS.retryDelay)
    .addOption(DURABLE_OPTIONS.timeout)
    .addOption(DURABLE_OPTIONS.after);
}

interface CommonOptions extends DurableCommand, OutputCommand {
  readonly connect: string;
  readonly pool?: string | undefined;
  readonly cacheHint: string;
  readonly urgent: boolean;
  readonly json: boolean;
  readonly unchecked: boolean;
  readonly exitCodes: (typeof EXIT_CODES)[number];
  readonly verbosity: string;
}

async function submitJob(
  options: CommonOptions,
  job: { readonly action: Action; readonly source: Source | undefined; readonly secrets: Secret[] },
  /** What is known here to be built; undefined: it is elsewhere. */
  checked: { readonly action: Action; readonly file: string } | undefined,
  context?: ContextOrder,
): Promise<void> {
  const durable = durableOptions(options);
  const { checkJob, sendContextOf, submit, submitDetached, submitDurable, withStatuses } =
    await import("../client/index.js");
  const { connect, json, output: outputs } = options;
  const quiet = options.verbosity === "quiet";
  await withStatuses({ fine: options.exitCodes === "fine", json }, async () => {
    if (checked && !options.unchecked) checkJob(checked.action, checked.file);
    const source = context ? await sendContextOf({ connect, quiet, ...context }) : job.source;
    const descr = { ...job, source, cacheHint: options.cacheHint };
    const what = { ...options, pool: options.pool, descr, outputs, quiet };
    if (!durable) return submit(what);
    return options.detach
      ? submitDetached({ ...what, durable })
      : submitDurable({ ...what, durable });
  });
}

const submitDocker = submitCommand("submit-docker", "Submit a Docker build to the scheduler.", [
  "ocluster-client -c submission.cap submit-docker --pool=linux-x86_64 \\",
  "  --local-dockerfile=Dockerfile",
])
  .addOption(option("--local-dockerfile <PATH>", "A Dockerfile on this machine.", existingFile))
  .addOption(option("--context-dockerfile <PATH>", "The Dockerfile in the commit.", nonEmpty))
  .addOption(option("--push-to <REPO:TAG>", "Where to push the image.", imageTarget))
  .addOption(option("--push-user <USER>", "Registry account to push with.", nonEmpty))
  .addOption(option("--push-password <FILE>", "File with its password.", existingFile))
  .addOption(repeatedOption("--build-arg <ARG>", "Docker build argument.", String))
  .option("--squash", "Squash the layers.", false)
  .option("--buildkit", "Use BuildKit to build.", false)
  .option("--include-git", "Keep the .git directory in the build context.", false)
  .argument("[URL]", "Git repository of the build context.")
  .argument("[HASH...]", "Commits to use, by full hash; they are merged.")
  .action(async (url, hashes, options) => {
    const { dockerAction, dockerfileIn, readSecrets, sourceOf } = await import(
      "../client/index.js"
    );
    const action = dockerAction(options);
    const dockerfile = "path" in action.dockerfile ? action.dockerfile.path : undefined;
    const buildkit = options.buildkit || options.secret.length > 0;
    const context = contextOrder(options, url, { dockerfile, buildkit });
    const source = sourceOf(url, hashes);
    const job = { action, source, secrets: readSecrets(options.secret) };
    const { localDockerfile: file } = options;
    const checked =
      file !== undefined ? { action, file } : context && dockerfileIn(context.directory, action);
    await submitJob(options, job, checked, context);
  });

const SUBMIT_OBUILDER = [
  "ocluster-client -c submission.cap submit-obuilder --pool=linux-x86_64 \\",
  "  --local-file=hello.spec",
];

const submitObuilder = submitCommand(
  "submit-obuilder",
  "Submit an OBuilder build to the scheduler.",
  SUBMIT_OBUILDER,
)
  .addOption(
    option("--local-file <PATH>", "The spec to build.", existingFile).makeOptionMandatory(),
  )
  .addOption(CONTEXT_OPTIONS.includeGit)
  .argument("[URL]", "Git repository of the build context.")
  .argument("[HASH...]", "Commits to use, by full hash; they are merged.")
  .action(async (url, hashes, options) => {
    const { obuilderAction, readSecrets, sourceOf } = await import("../client/index.js");
    checkIncludeGit(options);
    const context = contextOrder(options, url);
    const action = obuilderAction(options.localFile);
    const source = sourceOf(url, hashes);
    const job = { action, source, secrets: readSecrets(options.secret) };
    await submitJob(options, job, { action, file: options.localFile }, context);
  });

const attemptOption = option(
  "--attempt <N>",
  "Of this attempt, not the newest.",
  integer({ min: 1 }),
);

const submitFile = submitCommand(
  "submit",
  "Submit a spec or a Dockerfile, whichever the file is.",
  ["ocluster-client -c submission.cap submit hello.spec"],
  "fine",
)
  .addOption(CONTEXT_OPTIONS.includeGit)
  .addArgument(argument("<FILE>", "The spec or Dockerfile.", existingFile))
  .argument("[URL]", "Git repository of the build context.")
  .argument("[HASH...]", "Commits to use, by full hash; they are merged.")
  .action(async (file, url, hashes, options) => {
    const { actionOfFile, readSecrets, sourceOf } = await import("../client/index.js");
    checkIncludeGit(options);
    const action = actionOfFile(file);
    const buildkit = options.secret.length > 0;
    const context = contextOrder(options, url, action.kind === "docker" ? { buildkit } : undefined);
    const source = sourceOf(url, hashes);
    const job = { action, source, secrets: readSecrets(options.secret) };
    await submitJob(options, job, { action, file }, context);
  });

const pools = recordsCommand(OWNER, "pools", "List the pools, and what their workers can do.", [
  "pools",
])
  .option("--names", "Their names alone.", false)
  .option("--json", "Print JSON, one line for each pool.", false)
  .action(
    toldApart(async ({ json, names, ...options }) => {
      const { listPools } = await import("../client/index.js");
      await listPools({ ...recordsOptions(options), json, names });
    }),
  );

const context = command("context", "Name capability files, and choose one to be used.", [
  "ocluster-client context add home -c alice.cap --pool=linux-x86_64",
  "ocluster-client context use home",
  "ocluster-client context list",
])
  .addOption(option("-c, --connect <FILE>", "Of add: the capability file.", existingFile))
  .addOption(option("--pool <ID>", "Of add: the pool, if it is always the same.", nonEmpty))
  .addArgument(argument("<ACTION>", "What to do", oneOf(CONTEXT_ACTIONS)))
  .argument("[NAME]", "What it is called.")
  .action(async (action, name, options) => {
    const { changeContexts } = await import("../client/index.js");
    changeContexts(action, name, options);
  });

const jobs = jobsCommand(OWNER, "List your jobs, the newest first.", [
  "jobs",
  "jobs --state=failed --since=yesterday",
  "jobs --since=1d --json",
])
  .addOption(option("--pool <ID>", "Only those of this pool.", nonEmpty))
  .action(toldApart((options) => runJobs(options, { pool: options.pool }, { ofAll: false })));

const wait = recordsCommand(
  OWNER,
  "wait",
  "Wait until jobs have ended; fails unless all succeeded.",
  ["wait 17", "wait 17 18 19 --timeout=1h"],
)
  .addOption(option("--timeout <TIME>", "Wait no longer than that.", duration))
  .option("--json", "Print JSON, one line for each job.", false)
  .addArgument(repeatedArgument("<JOB...>", "Numbers of jobs.", jobNumber))
  .action(
    toldApart(async (numbers, options) => {
      const { waitForJobs } = await import("../client/index.js");
      const { json, timeout } = options;
      await waitForJobs({ ...recordsOptions(options), jobs: numbers, timeout, json });
    }),
  );

const retry = recordsCommand(
  OWNER,
  "retry",
  "Try jobs once more that have ended without success.",
  ["retry 17"],
)
  .option("--json", "Print JSON, one line for each job.", false)
  .addArgument(repeatedArgument("<JOB...>", "Numbers of jobs.", jobNumber))
  .action(
    toldApart(async (numbers, options) => {
      const { retryJobs } = await import("../client/index.js");
      await retryJobs({ ...recordsOptions(options), jobs: numbers, json: options.json });
    }),
  );

const outputs = recordsCommand(OWNER, "outputs", "List the files that are kept of a job.", [
  "outputs 17",
])
  .addOption(attemptOption)
  .option("--json", "Print JSON, one line for each file.", false)
  .addArgument(argument("<JOB>", JOB_TEXT, jobNumber))
  .action(
    toldApart(async (job, options) => {
      const { listOutputs } = await import("../client/index.js");
      await listOutputs({ ...options, ...recordsOptions(options), job });
    }),
  );

const fetch = recordsCommand(OWNER, "fetch", "Fetch the files that are kept of a job.", [
  "fetch 17 --to=results",
  "fetch 17 /out/report.html --to=.",
])
  .addOption(option("--to <DIR>", "Where to put them.", directory).makeOptionMandatory())
  .addOption(attemptOption)
  .option("--json", "Print JSON, one line for each of them.", false)
  .addArgument(argument("<JOB>", JOB_TEXT, jobNumber))
  .argument("[PATH...]", "Only these files or directories of the result.")
  .action(
    toldApart(async (job, paths, options) => {
      const { fetchFiles } = await import("../client/index.js");
      await fetchFiles({ ...options, ...recordsOptions(options), job, paths });
    }),
  );

await runMain(
  program(
    "ocluster-client",
    "Submits build jobs to a scheduler, and looks after them.",
    [
      submitFile,
      submitDocker,
      submitObuilder,
      pools,
      context,
      jobs,
      jobCommand(OWNER),
      logsCommand(OWNER),
      wait,
      cancelCommand(OWNER),
      retry,
      outputs,
      fetch,
      ...BATCH_COMMANDS,
    ],
    SUBMIT_OBUILDER,
  ),
  rpcFailure,
);
