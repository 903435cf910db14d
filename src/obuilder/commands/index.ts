/*
 * The commands of `obuilder`: the builder without a cluster around it.
 */

import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  type ColorChoice,
  CommandFailed,
  interruptible,
  logger,
  paint,
  shortNote,
  useColor,
} from "../../console/index.js";
import { HashMemory } from "../../system/index.js";
import { toBytes } from "../../text/index.js";
import type { Builder } from "../build/builder.js";
import { readRows } from "../build/database.js";
import { type PlannedLayer, planBuild } from "../build/plan.js";
import type { Secrets } from "../build/run-input.js";
import type { BuildLog, LayerId } from "../contracts.js";
import { type DockerfileStyle, dockerfileOf } from "../dockerfile/from-spec.js";
import { BuildCancelled, BuildError, MissingStore, SourceChanged } from "../errors.js";
import { healthcheck } from "../healthcheck.js";
import { type BuilderOptions, fetcherFor, openBuilder } from "../open-builder.js";
import { pruneUntil, type Room } from "../prune.js";
import { DEFAULT_SHELL } from "../sandboxes/oci-sandbox.js";
import { SexpError } from "../sexp/errors.js";
import type { Spec } from "../spec/spec.js";
import { readSpec } from "../spec/spec-reader.js";
import { withInspected } from "./inspected.js";
import { layerTable } from "./layer-table.js";
import { print, readInput, writeOut } from "./streams.js";

export { fromDockerfile } from "./from-dockerfile.js";
export { importImage } from "./import-image.js";

const { warn } = logger("obuilder");

/** A secret: its name in the spec, and the file that holds its value. */
export interface SecretFile {
  readonly id: string;
  readonly file: string;
}

export interface BuildOptions extends BuilderOptions {
  /** Path of the spec, or `-` for standard input. */
  readonly file: string;
  readonly secret: readonly SecretFile[];
  readonly color: ColorChoice;
}

/**
 * Nothing can be in use, as the store is this process's alone: all layers may go, those of this
 * second too.
 */
const ANY_TIME = new Date("9999-12-31T23:59:59Z");

export async function build(dir: string, options: BuildOptions): Promise<void> {
  const spec = loadSpec(options.file);
  const secrets = loadSecrets(options.secret);
  const log = new StdoutLog(useColor(options.color, process.stdout));
  await withBuilder(options, async (builder, signal) => {
    try {
      const id = await withMemory(dir, (memory) =>
        builder.build({ spec, sourceDir: resolve(dir), log, secrets, memory, signal }),
      );
      await print(`Got: "${id}"`);
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      throw new CommandFailed(`Build step failed: ${error.message}`);
    }
  });
}

export async function checkHealth(options: BuilderOptions): Promise<void> {
  await withBuilder(options, async (builder, signal) => {
    try {
      await healthcheck(builder, { signal });
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      throw new CommandFailed(`Healthcheck failed: ${error.message}`);
    }
    await print("Healthcheck passed");
  });
}

/**
 * Removes a layer and all that were made from it. One that is not there is no failure, as with the
 * reference.
 */
export async function deleteLayer(id: LayerId, options: BuilderOptions): Promise<void> {
  await withExistingBuilder(options, async (builder) => {
    if (!(await builder.delete(id, printRemoving))) warn(`ID "${id}" not in database!`);
  });
}

/** Removes all layers. */
export async function clean(options: BuilderOptions): Promise<void> {
  let removed = 0;
  await withExistingBuilder(options, async (builder) => {
    const limit = Number.MAX_SAFE_INTEGER;
    removed = await builder.prune({ before: ANY_TIME, limit, onDelete: printRemoving });
  });
  await print(`Removed ${removed} items`);
}

/** Removes the longest unused layers until there is room. */
export async function prune(room: Room, options: BuilderOptions): Promise<void> {
  await withExistingBuilder(options, async (builder, signal) => {
    const removed = await pruneUntil(builder, {
      room,
      before: ANY_TIME,
      onDelete: printRemoving,
      signal,
    });
    const free = (await builder.freePercent()).toFixed(1);
    await print(
      `Removed ${removed} items; ${builder.count()} are left, ${free}% of the space is free`,
    );
  });
}

/** Prints the steps of a build with the layers' ids, without building. */
export async function plan(dir: string, options: BuildOptions): Promise<void> {
  const spec = loadSpec(options.file);
  const color = useColor(options.color, process.stdout);
  await withInspected(options.store, async (parts) => {
    const request = {
      store: parts.store,
      fetcher: fetcherFor(parts, options),
      spec,
      sourceDir: resolve(dir),
      secrets: loadSecrets(options.secret),
      shell: DEFAULT_SHELL,
      baseRefresh: options.baseRefresh !== undefined,
    };
    try {
      await withMemory(dir, (memory) =>
        planBuild({ ...request, memory }, async ({ text, layer }) => {
          await print(paint(color, "brightBlue", text));
          if (layer) await print(paint(color, "yellow", plannedLayer(layer)));
        }),
      );
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      throw new CommandFailed(`Build step failed: ${error.message}`);
    }
  });
}

/** Who tries a spec builds from the same directory again and again. */
async function withMemory<T>(
  dir: string,
  use: (memory: HashMemory | undefined) => Promise<T>,
): Promise<T> {
  // One that cannot be found is for the build to tell, if it copies from it.
  const memory = existsSync(dir) ? new HashMemory("builds", realpathSync(dir)) : undefined;
  try {
    return await use(memory);
  } catch (error) {
    // Whether by somebody, or only as it seems to the memory: the next build reads all again.
    if (error instanceof SourceChanged) memory?.forget();
    throw error;
  } finally {
    memory?.save();
  }
}

function plannedLayer({ id, cached }: PlannedLayer): string {
  if (id === undefined) return "---> to be built; its id depends on what is not built yet";
  return cached ? `---> "${id}" is in the cache` : `---> "${id}" is to be built`;
}

/** Prints the layers as a table, the longest unused first. */
export async function diskUsage(options: Pick<BuilderOptions, "store">): Promise<void> {
  await withInspected(options.store, async ({ store }) => {
    const path = join(store.stateDir, "db", "db.sqlite");
    if (!existsSync(path)) throw new MissingStore(options.store);
    const layers = await store.list();
    const sizes = await store.sizes(layers.map(({ id }) => id));
    await print(layerTable(layers, sizes, readRows(path), new Date()));
    await print(`${(await store.freePercent()).toFixed(1)}% of the space is free`);
  });
}

export interface DockerfileCommand extends Pick<DockerfileStyle, "buildkit" | "escape"> {
  /** The directory that `copy` copies from, if there is one to look into. */
  readonly context?: string | undefined;
}

/** Prints a spec as a Dockerfile. Throws `UnwritableSpec` for what no Dockerfile can say. */
export async function dockerfile(
  file: string,
  { context, ...style }: DockerfileCommand,
): Promise<void> {
  const doubtful = new Set<string>();
  const isDirectory = (path: string) =>
    context === undefined
      ? undefined
      : statSync(join(context, path), { throwIfNoEntry: false })?.isDirectory();
  const onDoubt = (path: string, destination: string) => doubtful.add(`${path} to ${destination}`);
  const text = dockerfileOf(loadSpec(file), { ...style, isDirectory, onDoubt });
  if (doubtful.size > 0) {
    warn(
      `If one of these is a directory, Docker copies its contents and not, as the spec, itself: ${[...doubtful].join(", ")}. ` +
        (context === undefined ? "--context=DIR says what they are" : "End its name with a slash"),
    );
  }
  await print(text);
}

/**
 * Opens a builder for `use`, which is told when the user wants to stop and then throws
 * `BuildCancelled`.
 */
async function withBuilder(
  options: BuilderOptions,
  use: (builder: Builder, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  await interruptible(async (signal) => {
    const builder = await openBuilder({ ...options, tryRuntimeLater: true });
    try {
      await use(builder, signal);
    } catch (error) {
      if (!(error instanceof BuildCancelled)) throw error;
      throw new CommandFailed("Cancelled at user's request");
    } finally {
      await builder.close();
    }
  });
}

/** The same, to remove something: a store that is not there is not made for that. */
async function withExistingBuilder(
  options: BuilderOptions,
  use: (builder: Builder, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  try {
    await withBuilder({ ...options, existing: true }, use);
  } catch (error) {
    if (!(error instanceof MissingStore)) throw error;
    warn(error.message);
  }
}

/**
 * Reads a spec; what is wrong with one is reported on standard output, where people look for it.
 */
function loadSpec(file: string): Spec {
  const name = file === "-" ? "standard input" : file;
  try {
    return readSpec(readInput(file), name);
  } catch (error) {
    if (!(error instanceof SexpError)) throw error;
    process.stdout.write(toBytes(`${error.explain(name)}\n`));
    throw new CommandFailed("");
  }
}

function loadSecrets(files: readonly SecretFile[]): Secrets {
  return files.map(({ id, file }) => [id, readFileSync(file)] as const);
}

function printRemoving(id: LayerId): void {
  process.stdout.write(`Removing ${id}\n`);
}

/** On a terminal, ids of layers are in short form; `du` lists them as a whole. */
class StdoutLog implements BuildLog {
  readonly #color: boolean;

  constructor(color: boolean) {
    this.#color = color;
  }

  heading(text: string): Promise<void> {
    return print(paint(this.#color, "brightBlue", text));
  }

  note(text: string): void {
    const shown = process.stdout.isTTY ? shortNote(text) : text;
    process.stdout.write(toBytes(`${paint(this.#color, "yellow", shown)}\n`));
  }

  output(data: Uint8Array): Promise<void> {
    return writeOut(data);
  }
}
