#!/usr/bin/env node
/**
 * `ocluster-worker`: joins a pool and builds what the scheduler hands out.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Option } from "@commander-js/extra-typings";
import {
  command,
  connectOption,
  decimal,
  directory,
  duration,
  integer,
  list,
  namedUrls,
  nonEmpty,
  oneOf,
  option,
  type Parser,
  percentage,
  repeatedOption,
  runMain,
  seldom,
  size,
  utf8Name,
  ValueError,
  withFallback,
} from "../cli/index.js";
import type { RoomRule } from "../worker/index.js";
import { DEFAULT_SERVICE_IMAGE, UPDATE_MODES, type UpdateMode } from "../worker/update-options.js";
import {
  BUILDER_OPTIONS,
  builderOptions,
  dockerNetworkOption,
  storeOption,
  WITHOUT_EFFECT,
} from "./builder-options.js";
import { rpcFailure } from "./rpc-failure.js";

/** `REGEX=N`, split at the last `=`. */
const weightRule: Parser<{ readonly pattern: RegExp; readonly weight: number }> = (text) => {
  const [, pattern, weight] = /^(.+)=(\d+)$/s.exec(text) ?? [];
  if (pattern === undefined) {
    throw new ValueError(`invalid value '${text}', expected REGEX=N`);
  }
  try {
    return { pattern: new RegExp(pattern), weight: integer({ min: 1 })(weight!) };
  } catch (error) {
    if (error instanceof SyntaxError) throw new ValueError(error.message, { cause: error });
    throw error;
  }
};

/** The percentage has the last word, as in the reference. */
function roomRule(
  minFreePercent: number | undefined,
  maxImagesGb: number | undefined,
): RoomRule | undefined {
  if (minFreePercent !== undefined) return { minFreePercent };
  return maxImagesGb === undefined ? undefined : { maxImagesGb };
}

const milliseconds = (seconds: number | undefined) =>
  seconds === undefined ? undefined : seconds * 1000;

/** ms, from what was given of an option with an optional time in seconds. */
function drainTime(given: number | true | undefined): number {
  return given === true ? Number.POSITIVE_INFINITY : (given ?? 0) * 1000;
}

/** What holds of an option with `--ephemeral`, without which it must be given. */
const ofEphemeral = (text: string) => ({
  text: (isGiven: (long: string) => boolean) => (isGiven("--ephemeral") ? text : undefined),
  advice: "use --ephemeral",
});

/** Goes with the worker. */
const EPHEMERAL_STATE = join(tmpdir(), `ocluster-worker-${process.pid}`);

const worker = command("ocluster-worker", "Runs a build worker.", [
  "ocluster-worker -c pool-linux-x86_64.cap --name=my-host --capacity=4 \\",
  "  --state-dir=/var/lib/ocluster-worker --prune-threshold=20 \\",
  "  --obuilder-store=overlayfs:/var/cache/obuilder --verbose",
])
  .addOption(connectOption("pool-NAME.cap"))
  .addOption(
    withFallback(
      option(
        "--name <ID>",
        "Unique in the pool; {host} and {id} are filled in.",
        utf8Name,
      ).makeOptionMandatory(),
      ofEphemeral("{host}-{id}"),
    ),
  )
  .addOption(
    withFallback(
      option(
        "--state-dir <PATH>",
        "For clones, build contexts and the like; made if it does not exist.",
        directory,
      ).makeOptionMandatory(),
      ofEphemeral(EPHEMERAL_STATE),
    ),
  )
  .addOption(
    option("--capacity <N>", "Builds that can run at a time.", integer({ min: 1 })).default(10),
  )
  .addOption(
    seldom(
      repeatedOption(
        "--job-weight <REGEX=N>",
        "Jobs whose cache hint matches count N times; the last match decides.",
        weightRule,
      ),
    ),
  )
  .addOption(seldom(option("--job-timeout <TIME>", "A job that takes longer fails.", duration)))
  .addOption(seldom(option("--max-log-size <SIZE>", "A job's output is cut after that.", size())))
  .addOption(
    seldom(
      option(
        "--git-timeout <TIME>",
        "A Git server that is silent for so long is given up.",
        duration,
      ),
    ),
  )
  .addOption(
    seldom(
      option(
        "--git-max-size <SIZE>",
        "A clone that takes more is given up, and removed (default: 100G).",
        size(),
      ),
    ),
  )
  .addOption(
    seldom(
      option(
        "--git-max-files <N>",
        "A source with more files and directories is refused (default: 5000000).",
        integer({ min: 1 }),
      ),
    ),
  )
  .addOption(
    seldom(
      option(
        "--context-cache <SIZE>",
        "Files of clients' --context that are kept for the next job (default: 10G).",
        size(),
      ),
    ),
  )
  .addOption(
    option(
      "--allow-push <REPOS>",
      "Docker repositories that users can push to.",
      list(nonEmpty, "repositories, separated by commas: org/image,localhost:5000/image"),
    ).default([] as string[]),
  )
  .addOption(
    option(
      "--prune-threshold <PERCENT>",
      "Prune Docker when less is free where it keeps images.",
      percentage,
    ),
  )
  .addOption(
    seldom(
      option(
        "--docker-max-df-size <GIGABYTES>",
        "Prune Docker when its images take more.",
        decimal({ min: 0 }),
      ),
    ),
  )
  .addOption(dockerNetworkOption("The network of Docker builds, and of steps in a docker store."))
  .addOption(BUILDER_OPTIONS.dockerCpus)
  .addOption(BUILDER_OPTIONS.dockerMemory)
  .addOption(BUILDER_OPTIONS.dockerIsolation)
  .addOption(storeOption("--obuilder-store <STORE>", "Build specs, and keep their layers there."))
  .addOption(BUILDER_OPTIONS.rsyncMode)
  .addOption(
    seldom(
      option(
        "--obuilder-prune-threshold <PERCENT>",
        "Prune the store when no more is free.",
        percentage,
      ).default(30),
    ),
  )
  .addOption(
    seldom(
      option(
        "--obuilder-prune-margin <PERCENT>",
        "Stop pruning when so much more is free.",
        percentage,
      ).default(5),
    ),
  )
  .addOption(
    seldom(
      option(
        "--obuilder-prune-limit <N>",
        "Layers to prune before that is logged.",
        integer({ min: 1 }),
      ).default(100),
    ),
  )
  .addOption(
    seldom(
      option(
        "--obuilder-prune-item-threshold <N>",
        "Prune the store when it holds more layers.",
        integer({ min: 0 }),
      ),
    ),
  )
  .addOption(
    seldom(
      option(
        "--obuilder-healthcheck <TIME>",
        "Time between health checks; 0: only the one at the start.",
        duration,
      ).default(600),
    ),
  )
  .addOption(BUILDER_OPTIONS.fastSync)
  .addOption(BUILDER_OPTIONS.imageDir)
  .addOption(BUILDER_OPTIONS.fetch)
  .addOption(BUILDER_OPTIONS.baseRefresh)
  .addOption(BUILDER_OPTIONS.runtime)
  .addOption(BUILDER_OPTIONS.cpus)
  .addOption(BUILDER_OPTIONS.memory)
  .addOption(BUILDER_OPTIONS.pids)
  .addOption(
    seldom(
      option(
        "--additional-metrics <NAME:URL,…>",
        "More metrics to pass on to the scheduler.",
        namedUrls,
      ).default([]),
    ),
  )
  .addOption(
    seldom(
      option(
        "--update-mode <MODE>",
        "Update the Docker service with a fresh image, or only restart; auto: in a container the former",
        oneOf(UPDATE_MODES),
      ).default("auto" as UpdateMode),
    ),
  )
  .addOption(
    seldom(
      option("--update-repository <REPO>", "The image of the service.", nonEmpty).default(
        DEFAULT_SERVICE_IMAGE.repository,
      ),
    ),
  )
  .addOption(
    seldom(option("--update-tag <TAG>", "Its tag.", nonEmpty).default(DEFAULT_SERVICE_IMAGE.tag)),
  )
  .addOption(
    seldom(
      option(
        "--update-service <NAME>",
        "The Docker service that this worker is.",
        nonEmpty,
      ).default(DEFAULT_SERVICE_IMAGE.service),
    ),
  )
  .option("--once", "Take one job, then exit.", false)
  .addOption(
    option(
      "--drain-on-sigterm [TIME]",
      "On SIGTERM finish the running jobs, or what is done within a time; then exit.",
      duration,
    ),
  )
  .addOption(
    seldom(option("--idle-timeout <TIME>", "Exit when no job has run for that long.", duration)),
  )
  .addOption(
    seldom(
      option(
        "--max-lifetime <TIME>",
        "Take no more jobs after that time; finish those that run, and exit.",
        duration,
      ),
    ),
  )
  .addOption(
    seldom(
      option(
        "--eviction-check <COMMAND>",
        "Run by sh every 5 s; when it succeeds, the machine is taken away: drain, and exit.",
        nonEmpty,
      ),
    ),
  )
  .addOption(
    seldom(
      new Option(
        "--ephemeral",
        "The name does not come back, and is forgotten when the worker is gone.",
      ).default(false),
    ),
  )
  .action(async (options) => {
    const { runWorker } = await import("../worker/main.js");
    await runWorker(
      {
        connect: options.connect,
        name: options.name,
        stateDir: options.stateDir,
        capacity: options.capacity,
        weights: options.jobWeight,
        jobTimeout: milliseconds(options.jobTimeout),
        maxLogSize: options.maxLogSize,
        gitTimeout: milliseconds(options.gitTimeout),
        gitMaxSize: options.gitMaxSize,
        gitMaxFiles: options.gitMaxFiles,
        contextCache: options.contextCache,
        allowPush: options.allowPush,
        dockerNetwork: options.dockerNetwork,
        dockerRoom: roomRule(options.pruneThreshold, options.dockerMaxDfSize),
        additionalMetrics: new Map(options.additionalMetrics.map(({ name, url }) => [name, url])),
        once: options.once,
        ephemeral: options.ephemeral,
        idleTimeout: milliseconds(options.idleTimeout),
        obuilder:
          options.obuilderStore === undefined
            ? undefined
            : {
                ...builderOptions(options),
                store: options.obuilderStore,
                pruneThreshold: options.obuilderPruneThreshold,
                pruneMargin: options.obuilderPruneMargin,
                pruneLimit: options.obuilderPruneLimit,
                pruneItemThreshold: options.obuilderPruneItemThreshold,
                healthcheckInterval: options.obuilderHealthcheck * 1000,
              },
      },
      {
        drainTime: drainTime(options.drainOnSigterm),
        evictionCheck: options.evictionCheck ? { command: options.evictionCheck } : undefined,
        removeState: options.stateDir === EPHEMERAL_STATE,
        lifetime: milliseconds(options.maxLifetime) ?? Number.POSITIVE_INFINITY,
        updateMode: options.updateMode,
        serviceImage: {
          repository: options.updateRepository,
          tag: options.updateTag,
          service: options.updateService,
        },
      },
    );
  });

for (const each of WITHOUT_EFFECT) worker.addOption(each);

await runMain(worker, rpcFailure);
