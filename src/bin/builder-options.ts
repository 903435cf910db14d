/**
 * Options for building specs, which the worker and `obuilder` share:
 *
 *     const build = command(…).addOption(BUILDER_OPTIONS.rsyncMode)…
 *       .action((options) => openBuilder({ store, ...builderOptions(options) }));
 *     for (const each of WITHOUT_EFFECT) build.addOption(each);
 */
import { resolve } from "node:path";
import { Option } from "@commander-js/extra-typings";
import {
  decimal,
  described,
  duration,
  existingDirectory,
  integer,
  list,
  nonEmpty,
  oneOf,
  option,
  seldom,
  size,
} from "../cli/index.js";
import {
  DOCKER_ISOLATIONS,
  type DockerIsolation,
  FETCHER_NAMES,
  type FetcherName,
  RSYNC_MODES,
  type RsyncMode,
  RUNTIME_CHOICES,
  type RuntimeChoice,
} from "../obuilder/choices.js";
import type { BuilderOptions } from "../obuilder/index.js";
import { helpOf, STORE_KINDS } from "../obuilder/stores/kinds.js";

export const BUILDER_OPTIONS = {
  rsyncMode: option(
    "--rsync-mode <MODE>",
    "How an rsync store keeps layers; required there.",
    oneOf(RSYNC_MODES),
  ),
  fastSync: seldom(
    new Option("--fast-sync", "Do not wait for the disk when a step asks to.").default(false),
  ),
  imageDir: option(
    "--obuilder-image-dir <DIR>",
    "Directory of OCI layouts with base images.",
    existingDirectory,
  ),
  fetch: seldom(
    option(
      "--obuilder-fetch <LIST>",
      "Where to get base images, in this order.",
      list(oneOf(FETCHER_NAMES)),
    ).default<FetcherName[]>([...FETCHER_NAMES]),
  ),
  runtime: seldom(
    option("--obuilder-runtime <NAME>", "What runs the steps.", oneOf(RUNTIME_CHOICES)).default(
      "auto" as RuntimeChoice,
    ),
  ),
  cpus: seldom(option("--obuilder-cpus <N>", "Processors for each step.", decimal({ min: 0.01 }))),
  memory: seldom(option("--obuilder-memory <SIZE>", "Memory for each step.", size())),
  pids: seldom(
    option(
      "--obuilder-pids <N>",
      "Processes for each step (default: half of the machine's).",
      integer({ min: 1 }),
    ),
  ),
  baseRefresh: seldom(
    option(
      "--obuilder-base-refresh <TIME>",
      "Look up tags of base images again after that time (default: never).",
      duration,
    ),
  ),
  dockerCpus: seldom(
    option("--docker-cpus <N>", "Processors for a step in a docker store.", decimal({ min: 0.01 })),
  ),
  dockerMemory: seldom(
    option("--docker-memory <SIZE>", "Memory for a step in a docker store.", size()),
  ),
  dockerIsolation: seldom(
    option(
      "--docker-isolation <KIND>",
      "Isolation of steps in a docker store.",
      oneOf(DOCKER_ISOLATIONS),
    ),
  ),
} as const;

/** An option for the name of a store. */
export function storeOption<const Flags extends string>(flags: Flags, description: string) {
  return option(flags, description, described(nonEmpty, { meaning: helpOf(STORE_KINDS) }));
}

/** `--docker-network NAME`; what it is the network of depends on the program. */
export function dockerNetworkOption(description: string) {
  return seldom(option("--docker-network <NAME>", description, nonEmpty));
}

/**
 * The reference's options for sandboxes that there are none of here: old service files and scripts
 * still start.
 */
export const WITHOUT_EFFECT = [
  "--qemu-boot-time <SECONDS>",
  "--qemu-cpus <N>",
  "--qemu-guest-arch <ARCH>",
  "--qemu-guest-os <OS>",
  "--qemu-memory <GB>",
  "--hcs-ctr-path <PATH>",
  "--hcs-hcn-namespace-path <PATH>",
].map((flags) => option(flags, "Without effect: there is no such sandbox.", String).hideHelp());

/** The options as commander names them. */
interface Parsed {
  readonly rsyncMode?: RsyncMode | undefined;
  readonly fastSync?: boolean | undefined;
  readonly obuilderImageDir?: string | undefined;
  readonly obuilderFetch: readonly FetcherName[];
  readonly obuilderRuntime: RuntimeChoice;
  readonly obuilderCpus?: number | undefined;
  readonly obuilderMemory?: number | undefined;
  readonly obuilderPids?: number | undefined;
  readonly obuilderBaseRefresh?: number | undefined;
  readonly dockerCpus?: number | undefined;
  readonly dockerMemory?: number | undefined;
  readonly dockerNetwork?: string | undefined;
  readonly dockerIsolation?: DockerIsolation | undefined;
}

/** The same for the builder. */
export function builderOptions(options: Parsed): Omit<BuilderOptions, "store"> {
  return {
    rsyncMode: options.rsyncMode,
    fastSync: options.fastSync,
    imageDir: options.obuilderImageDir && resolve(options.obuilderImageDir),
    fetch: options.obuilderFetch,
    runtime: options.obuilderRuntime,
    limits: {
      ...(options.obuilderCpus === undefined ? {} : { cpus: options.obuilderCpus }),
      ...(options.obuilderMemory === undefined ? {} : { memory: options.obuilderMemory }),
      ...(options.obuilderPids === undefined ? {} : { pids: options.obuilderPids }),
    },
    docker: {
      cpus: options.dockerCpus,
      memory: options.dockerMemory,
      network: options.dockerNetwork,
      isolation: options.dockerIsolation,
    },
    baseRefresh:
      options.obuilderBaseRefresh === undefined ? undefined : options.obuilderBaseRefresh * 1000,
  };
}
