/*
 * Runs steps as containers of a Docker engine, for layers that are its images. What the container
 * has changed becomes the layer's image.
 *
 * What a step sees and may do is, as far as the engine lets it, what it would in `oci-sandbox.ts`,
 * so that it builds the same: exactly its own environment, no network unless it asks for it, mount
 * points and nothing else left in the layer.
 */

import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Writable } from "node:stream";
import type Docker from "dockerode";
import { type DockerEngine, EngineError, type ImageInfo } from "../../docker/index.js";
import { endingText } from "../../system/index.js";
import type { DockerIsolation } from "../choices.js";
import type { LayerDir, Sandbox, SandboxIo, SandboxStep } from "../contracts.js";
import { BuildCancelled, BuildError, StoreError } from "../errors.js";
import type { Env } from "../spec/spec.js";
import type { DockerNames } from "../stores/docker-names.js";
import { ContainerRoot } from "./container-root.js";
import { withoutFrames } from "./docker-stream.js";
import { resolveMounts } from "./mount-targets.js";
import {
  HOSTNAME,
  HOSTS,
  idNumber,
  type Limits,
  seccompProfile,
  secretFile,
  unixUser,
  unsupportedNetwork,
} from "./oci-config.js";
import { DEFAULT_SHELL, privateDir, UNPACK } from "./oci-sandbox.js";
import { isBrokenPipe, send } from "./standard-input.js";
import { checkStepText } from "./step-text.js";

export interface DockerSandboxOptions {
  readonly engine: DockerEngine;
  readonly names: DockerNames;
  /** The store's directory for state. */
  readonly stateDir: string;
  /** The network of steps that do not ask for one; by default there is none. */
  readonly network?: string | undefined;
  readonly isolation?: DockerIsolation | undefined;
  readonly limits?: Limits;
  /** Whether calls that wait for the disk return at once. */
  readonly fastSync?: boolean;
}

// What Docker grants by default and `oci-config.ts` does not.
const WITHHELD_CAPABILITIES = ["NET_RAW", "NET_BIND_SERVICE"];

export class DockerSandbox implements Sandbox {
  readonly shell = DEFAULT_SHELL;
  readonly tar = UNPACK;

  readonly #options: DockerSandboxOptions;

  constructor(options: DockerSandboxOptions) {
    this.#options = options;
  }

  async run(step: SandboxStep, layer: LayerDir, io: SandboxIo): Promise<void> {
    const { engine, names, stateDir } = this.#options;
    checkStepText(step);
    if (layer.image === undefined) throw new StoreError("Docker runs steps of docker stores only");
    const container = names.container(layer.id);
    const files = join(privateDir(stateDir), container);
    let removal: Promise<void> | undefined;
    const remove = () => (removal ??= engine.removeContainer(container));
    const stop = () => void remove().catch(() => {}); // it fails again below
    try {
      const base = await engine.image(layer.image);
      if (!base) throw new BuildError(`Image ${layer.image} is gone from the engine; build again`);
      await writeFiles(step, files);
      await engine.createContainer({
        ...containerConfig(step, files, base, this.#options),
        name: container,
        OpenStdin: io.input !== undefined,
        StdinOnce: io.input !== undefined,
      });
      io.signal.addEventListener("abort", stop, { once: true });
      io.signal.throwIfAborted();
      const root = new ContainerRoot(engine, container);
      await checkMounts(step, root);
      const input = await io.input?.(root);
      io.signal.throwIfAborted();
      await this.#runContainer(container, step, input, io);
      await engine.commit(container, layer.image, imageConfig(base));
    } catch (error) {
      throw io.signal.aborted ? new BuildCancelled() : error;
    } finally {
      io.signal.removeEventListener("abort", stop);
      await remove();
      await rm(files, { recursive: true, force: true });
    }
  }

  async #runContainer(
    container: string,
    step: SandboxStep,
    input: ((stdin: Writable) => Promise<void>) | undefined,
    io: SandboxIo,
  ): Promise<void> {
    const { engine } = this.#options;
    const stream = await engine.attach(container, { stdin: input !== undefined });
    try {
      try {
        await engine.startContainer(container);
      } catch (error) {
        // Mostly that there is no such program.
        throw error instanceof EngineError ? new BuildError(error.message) : error;
      }
      const sent = input && send(input, stream);
      for await (const output of withoutFrames(stream)) await io.log.write(output);
      const status = await engine.waitForContainer(container);
      // If the reader of the archive failed, that is why writing it failed.
      const sendError = await sent;
      if (sendError && !isBrokenPipe(sendError)) throw sendError;
      if (status !== 0) throw new BuildError(endingText(step.argv, { status, signal: undefined }));
      if (sendError) throw sendError;
    } finally {
      stream.destroy();
    }
  }
}

/**
 * Throws `BuildError` for targets where nothing may be mounted. The engine's view of the container
 * has the caches in it.
 */
async function checkMounts(step: SandboxStep, root: ContainerRoot): Promise<void> {
  // Another network than the host's is the engine's concern.
  await resolveMounts({ ...step, network: [] }, async ({ path }) => {
    const entry = await root.entry(path.slice(1));
    return entry?.kind === "link" ? entry.target : undefined;
  });
}

/** Any user of the step may read these; on the host, the directory keeps others out. */
async function writeFiles({ secrets }: SandboxStep, dir: string): Promise<void> {
  await mkdir(dir, { mode: 0o700 });
  const contents: [string, string | Uint8Array][] = [["hosts", HOSTS]];
  for (const [index, { value }] of secrets.entries()) contents.push([secretFile(index), value]);
  for (const [name, content] of contents) {
    await writeFile(join(dir, name), content);
    await chmod(join(dir, name), 0o644);
  }
}

/** Throws `BuildError` for a user that is not a number. */
function containerConfig(
  step: SandboxStep,
  files: string,
  base: ImageInfo,
  { network, isolation, limits = {}, fastSync = false }: DockerSandboxOptions,
): Docker.ContainerCreateOptions {
  const { uid, gid } = unixUser(step.user);
  if (step.network.length > 1) throw unsupportedNetwork(step.network);
  const { cpus, memory, pids } = limits;
  return {
    Image: base.Id,
    Entrypoint: [...step.argv],
    Cmd: [],
    WorkingDir: step.cwd,
    User: `${idNumber(uid)}:${idNumber(gid)}`,
    Hostname: HOSTNAME,
    Env: exactEnv(step.env, base),
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      NetworkMode: step.network[0] ?? network ?? "none",
      Mounts: [
        bind(join(files, "hosts"), "/etc/hosts"),
        ...step.secrets.map(({ target }, index) => bind(join(files, secretFile(index)), target)),
        ...step.caches.map(({ source, target }) => ({
          Type: "volume" as const,
          Source: source,
          Target: target,
          // An empty cache stays empty, whatever the layer has in its place.
          VolumeOptions: { NoCopy: true } as Docker.MountSettings["VolumeOptions"],
        })),
      ],
      CapDrop: WITHHELD_CAPABILITIES,
      Ulimits: [{ Name: "nofile", Soft: 1024, Hard: 1024 }],
      LogConfig: { Type: "none", Config: {} },
      SecurityOpt: fastSync ? [`seccomp=${JSON.stringify(seccompProfile(true))}`] : [],
      ...(isolation === undefined ? {} : { Isolation: isolation }),
      ...(cpus === undefined ? {} : { NanoCpus: Math.round(cpus * 1e9) }),
      ...(memory === undefined ? {} : { Memory: memory, MemorySwap: memory }),
      ...(pids === undefined ? {} : { PidsLimit: pids }),
    },
  };
}

function bind(source: string, target: string): Docker.MountSettings {
  return { Type: "bind", Source: source, Target: target, ReadOnly: true };
}

/**
 * The engine adds variables of the image and some of its own, except those that are named without a
 * value.
 */
function exactEnv(env: Env, base: ImageInfo): string[] {
  const given = new Set(env.map(([key]) => key));
  const image = (base.Config.Env ?? []).map((variable) => variable.split("=", 1)[0]!);
  const unwanted = new Set(["PATH", "HOSTNAME", ...image].filter((key) => !given.has(key)));
  return [...env.map(([key, value]) => `${key}=${value}`), ...unwanted];
}

/** The base's configuration; where it is empty, the engine would take over the step's. */
function imageConfig({ Config: config }: ImageInfo): object {
  return { ...config, Entrypoint: config.Entrypoint ?? [], Cmd: config.Cmd ?? [] };
}
