#!/usr/bin/env node
import type { Action, Secret, Source } from "../api/index.js";
import {
  command,
  connectOption,
  existingFile,
  imageTarget,
  nonEmpty,
  option,
  program,
  repeatedOption,
  runMain,
  secretFile,
} from "../cli/index.js";
/**
 * `ocluster-client`: submits jobs to a scheduler.
 */
import { rpcFailure } from "./rpc-failure.js";

/** A command that submits a job. */
function submitCommand(name: string, summary: string, examples: readonly string[]) {
  return command(name, summary, examples)
    .addOption(connectOption("submission.cap"))
    .addOption(option("--pool <ID>", "The pool to use.", nonEmpty).makeOptionMandatory())
    .addOption(
      option(
        "--cache-hint <STRING>",
        "Jobs with the same hint like to run on the same worker.",
        String,
      ).default(""),
    )
    .option("--urgent", "Before all jobs that are not urgent.", false)
    .addOption(repeatedOption("--secret <ID:FILE>", "A secret for the build.", secretFile))
    .addOption(
      option("--log-file <FILE>", "Write the job's log there, not on standard output.", nonEmpty),
    )
    .option("--json", "Print the result as JSON, and the log on standard error.", false)
    .argument("[URL]", "Git repository of the build context.")
    .argument("[HASH...]", "Commits to use, by full hash; they are merged.");
}

interface CommonOptions {
  readonly connect: string;
  readonly pool: string;
  readonly cacheHint: string;
  readonly urgent: boolean;
  readonly logFile?: string | undefined;
  readonly json: boolean;
  readonly verbosity: string;
}

async function submitJob(
  options: CommonOptions,
  job: { readonly action: Action; readonly source: Source | undefined; readonly secrets: Secret[] },
): Promise<void> {
  const { submit } = await import("../client/index.js");
  const descr = { ...job, cacheHint: options.cacheHint };
  await submit({ ...options, descr, quiet: options.verbosity === "quiet" });
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
  .action(async (url, hashes, options) => {
    const { dockerAction, readSecrets, sourceOf } = await import("../client/index.js");
    const action = dockerAction(options);
    const source = sourceOf(url, hashes);
    await submitJob(options, { action, source, secrets: readSecrets(options.secret) });
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
  .action(async (url, hashes, options) => {
    const { obuilderAction, readSecrets, sourceOf } = await import("../client/index.js");
    const action = obuilderAction(options.localFile);
    const source = sourceOf(url, hashes);
    await submitJob(options, { action, source, secrets: readSecrets(options.secret) });
  });

await runMain(
  program(
    "ocluster-client",
    "Submits build jobs to a scheduler.",
    [submitDocker, submitObuilder],
    SUBMIT_OBUILDER,
  ),
  rpcFailure,
);
