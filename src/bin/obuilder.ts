#!/usr/bin/env node
/**
 * `obuilder`: builds specs on this machine, without a cluster, and looks after a store.
 */
import { existsSync } from "node:fs";
import {
  argument,
  assignment,
  command,
  described,
  existingDirectory,
  existingFile,
  integer,
  nonEmpty,
  oneOf,
  option,
  type Parser,
  percentage,
  program,
  repeatedOption,
  runMain,
  secretFile,
  ValueError,
} from "../cli/index.js";
import { UsageError } from "../console/index.js";
import {
  BUILDER_OPTIONS,
  builderOptions,
  dockerNetworkOption,
  storeOption,
  WITHOUT_EFFECT,
} from "./builder-options.js";

/** A file, or `-` for standard input. */
const input: Parser<string> = (text) => (text === "-" ? text : existingFile(text));

/** A directory, a file, or `-` for standard input. */
const root: Parser<string> = (text) => {
  if (text === "-" || existsSync(text)) return text;
  throw new ValueError(`no '${text}' file or directory`);
};

/** A layer's id becomes part of a path. */
const layerId: Parser<string> = (text) => {
  if (/^[\w-]+$/.test(text)) return text;
  throw new ValueError(
    `invalid value '${text}', expected the id of a layer, 64 hexadecimal digits`,
  );
};

/** A user's name, with the numbers that it has in an image. */
const userNumbers: Parser<{ name: string; uid: bigint; gid: bigint }> = (text) => {
  const [, name, uid, gid] = /^([^=:]+)=(\d{1,10}):(\d{1,10})$/.exec(text) ?? [];
  if (name !== undefined) return { name, uid: BigInt(uid!), gid: BigInt(gid!) };
  throw new ValueError(`invalid value '${text}', expected NAME=UID:GID, as in app=1000:1000`);
};

const freePercent = described(percentage, {
  meaning: "0 to 100, of the space that users can have",
});

const neededStore = () =>
  storeOption("--store <STORE>", "Where layers are kept.").makeOptionMandatory();

const neededImageDir = () =>
  option(
    "--obuilder-image-dir <DIR>",
    "Directory of OCI layouts with base images.",
    existingDirectory,
  ).makeOptionMandatory();

const specOption = () =>
  option("-f <FILE>", "The spec; - for standard input.", input).makeOptionMandatory();

const secretOption = () =>
  repeatedOption("--secret <ID:FILE>", "A file whose content the spec knows as ID.", secretFile);

/** A command for which a store and all that builds in it is set up, or would be. */
function storeCommand(name: string, summary: string, examples: readonly string[]) {
  const result = command(
    name,
    summary,
    examples.map((line) => `obuilder ${line} --store=overlayfs:/var/cache/obuilder`),
  );
  for (const each of WITHOUT_EFFECT) result.addOption(each);
  return result
    .addOption(neededStore())
    .addOption(BUILDER_OPTIONS.rsyncMode)
    .addOption(BUILDER_OPTIONS.imageDir)
    .addOption(BUILDER_OPTIONS.fetch)
    .addOption(BUILDER_OPTIONS.runtime)
    .addOption(BUILDER_OPTIONS.cpus)
    .addOption(BUILDER_OPTIONS.memory)
    .addOption(BUILDER_OPTIONS.pids)
    .addOption(BUILDER_OPTIONS.baseRefresh)
    .addOption(dockerNetworkOption("The network of steps in a docker store (default: none)."))
    .addOption(BUILDER_OPTIONS.dockerCpus)
    .addOption(BUILDER_OPTIONS.dockerMemory)
    .addOption(BUILDER_OPTIONS.dockerIsolation)
    .addOption(BUILDER_OPTIONS.fastSync);
}

/** `build`, and `plan` in its place: they take the same. */
function specCommand(name: string, summary: string) {
  return storeCommand(name, summary, [`${name} -f example.spec .`])
    .addOption(specOption())
    .addOption(secretOption())
    .addArgument(argument("<DIR>", "The directory with the source files.", existingDirectory));
}

const build = specCommand("build", "Build a spec.").action(async (dir, options) => {
  const { build } = await import("../obuilder/commands/index.js");
  const { store, f: file, secret, color } = options;
  await build(dir, { store, ...builderOptions(options), file, secret, color });
});

const plan = specCommand(
  "plan",
  "Show what a build would do: each step's layer, and whether it is there.",
).action(async (dir, options) => {
  const { plan } = await import("../obuilder/commands/index.js");
  const { store, f: file, secret, color } = options;
  await plan(dir, { store, ...builderOptions(options), file, secret, color });
});

const healthcheck = storeCommand("healthcheck", "Try a build.", ["healthcheck"]).action(
  async (options) => {
    const { checkHealth } = await import("../obuilder/commands/index.js");
    await checkHealth({ store: options.store, ...builderOptions(options) });
  },
);

const deleteLayer = storeCommand("delete", "Remove a layer and all that were made from it.", [
  "delete $ID",
])
  .addArgument(argument("<ID>", "The layer.", layerId))
  .action(async (id, options) => {
    const { deleteLayer } = await import("../obuilder/commands/index.js");
    await deleteLayer(id, { store: options.store, ...builderOptions(options) });
  });

const clean = storeCommand("clean", "Remove all layers.", ["clean"]).action(async (options) => {
  const { clean } = await import("../obuilder/commands/index.js");
  await clean({ store: options.store, ...builderOptions(options) });
});

const prune = storeCommand("prune", "Remove the longest unused layers until there is room.", [
  "prune --until=30",
  "prune --keep=1000",
])
  .addOption(option("--until <FREE%>", "Until so much of the space is free.", freePercent))
  .addOption(option("--keep <N>", "Until no more layers than that are left.", integer({ min: 0 })))
  .action(async (options) => {
    if (options.until === undefined && options.keep === undefined) {
      throw new UsageError("one of the options --until and --keep is required");
    }
    const { prune } = await import("../obuilder/commands/index.js");
    const room = { freePercent: options.until, layers: options.keep };
    await prune(room, { store: options.store, ...builderOptions(options) });
  });

const du = command("du", "List the layers with their sizes and ages.", [
  "obuilder du --store=overlayfs:/var/cache/obuilder",
])
  .addOption(neededStore())
  .action(async ({ store }) => {
    const { diskUsage } = await import("../obuilder/commands/index.js");
    await diskUsage({ store });
  });

const dockerfile = command("dockerfile", "Print a spec as a Dockerfile.", [
  "obuilder dockerfile -f example.spec --buildkit > Dockerfile",
])
  .addOption(specOption())
  .option("--buildkit", "Use BuildKit's syntax for caches and secrets.", false)
  .addOption(
    option("--escape <STYLE>", "How the Dockerfile escapes.", oneOf(["unix", "windows"])).default(
      "unix" as "unix" | "windows",
    ),
  )
  .addOption(
    option(
      "--context <DIR>",
      "The directory with the source files, to tell files from directories.",
      existingDirectory,
    ),
  )
  .action(async ({ f: file, buildkit, escape: escapeWith, context }) => {
    const { dockerfile } = await import("../obuilder/commands/index.js");
    await dockerfile(file, { buildkit, escape: escapeWith, context });
  });

const fromDockerfile = command("from-dockerfile", "Print a Dockerfile as a spec.", [
  "obuilder from-dockerfile Dockerfile > example.spec",
])
  .addOption(repeatedOption("--build-arg <KEY=VALUE>", "A value for an ARG.", assignment))
  .addOption(
    repeatedOption("--user <NAME=UID:GID>", "The numbers of a user or group.", userNumbers),
  )
  .addOption(option("--target <STAGE>", "The stage to build (default: the last one).", nonEmpty))
  .addOption(
    option(
      "--context <DIR>",
      "The directory that COPY copies from (default: the Dockerfile's).",
      existingDirectory,
    ),
  )
  .addOption(
    storeOption(
      "--store <STORE>",
      "A store that knows the variables of images (default: ask the Docker engine).",
    ),
  )
  .addOption(BUILDER_OPTIONS.imageDir)
  .addArgument(argument("<FILE>", "The Dockerfile; - for standard input.", input))
  .action(async (file, options) => {
    const { fromDockerfile } = await import("../obuilder/commands/index.js");
    await fromDockerfile(file, { ...options, imageDir: options.obuilderImageDir });
  });

const importImage = command("import-image", "Make a base image of a root file system.", [
  "obuilder import-image --obuilder-image-dir=images tools:1 root.tar.gz",
])
  .addOption(neededImageDir())
  .addOption(
    repeatedOption(
      "--env <KEY=VALUE>",
      "A variable that the image sets, such as PATH.",
      assignment,
    ),
  )
  .addArgument(argument("<NAME>", "What specs call it: NAME or NAME:TAG.", nonEmpty))
  .addArgument(
    argument("<ROOT>", "A directory, or an archive of one; - for one on standard input.", root),
  )
  .action(async (name, source, { obuilderImageDir: imageDir, env }) => {
    const { importImage } = await import("../obuilder/commands/index.js");
    await importImage(name, source, { imageDir, env });
  });

await runMain(
  program(
    "obuilder",
    "Builds specs on this machine, and looks after a store of layers.",
    [
      build,
      plan,
      healthcheck,
      deleteLayer,
      clean,
      prune,
      du,
      dockerfile,
      fromDockerfile,
      importImage,
    ],
    [
      "obuilder build -f example.spec --store=overlayfs:/var/cache/obuilder .",
      "obuilder du --store=overlayfs:/var/cache/obuilder",
    ],
  ),
);
