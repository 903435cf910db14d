/**
 * How a worker updates itself when an administrator asks for it. In all cases the process exits in
 * the end, and whoever supervises it starts it again.
 */
import { existsSync } from "node:fs";
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { logger } from "../console/index.js";
import {
  EngineError,
  engineError,
  engineMessages,
  OperatorLogins,
  registryOf,
} from "../docker/index.js";
import { engineFailure } from "./docker/engine.js";
import type { ServiceImage, UpdateMode } from "./update-options.js";

const log = logger("worker");

/**
 * Prepares an update, while jobs still run; the result does it, once they have ended. Both may
 * reject.
 */
export type Updater = () => Promise<() => Promise<void>>;

class UpdateFailed extends Error {
  override readonly name = "UpdateFailed";
}

/** The updater for a mode, here. */
export function chooseUpdater(docker: Docker, mode: UpdateMode, image: ServiceImage): Updater {
  const inContainer = () => existsSync("/.dockerenv");
  return mode === "service" || (mode === "auto" && inContainer())
    ? serviceUpdater(docker, image)
    : restartOnly;
}

/** The new version was installed already; a restart is all it takes. */
export const restartOnly: Updater = async () => async () => {};

/**
 * Pulls the newest image, then has the service replaced by one of that image, which ends this
 * process.
 */
export function serviceUpdater(
  docker: Docker,
  { repository, service, tag }: ServiceImage,
): Updater {
  return async () => {
    const name = `${repository}:${tag}`;
    const authconfig = await (await OperatorLogins.read((message) => log.warn(message))).get(
      registryOf(repository),
    );
    const pulling = await docker.pull(name, { ...(authconfig && { authconfig }) }).catch(refuse);
    for await (const { error } of engineMessages(pulling as Readable)) {
      if (error !== undefined) throw new UpdateFailed(`Cannot pull ${name}: ${error}`);
    }
    const { RepoDigests } = await docker.getImage(name).inspect().catch(refuse);
    const id = (RepoDigests ?? []).find((digest) => digest.startsWith(`${repository}@`));
    if (id === undefined) throw new UpdateFailed(`No new image starts with "${repository}@"!`);
    log.info(`Latest service version is ${id}`);
    return async () => {
      const handle = docker.getService(service);
      const { Spec, Version } = (await handle.inspect().catch(refuseService)) as ServiceState;
      Spec.TaskTemplate.ContainerSpec.Image = id;
      await handle.update({ ...Spec, version: Version.Index }).catch(refuse);
    };
  };
}

const NO_SERVICE =
  "a worker that is no Docker service is started with --update-mode=restart, and then only restarts";

function refuse(error: unknown): never {
  const known = engineError(error);
  if (known instanceof EngineError && known.status === undefined) refuseService(error);
  throw engineFailure(error);
}

/** Throws what may well be, as there is no such service. */
function refuseService(error: unknown): never {
  const failure = engineFailure(error);
  if (failure === error) throw error;
  throw new UpdateFailed(`${(failure as Error).message}; ${NO_SERVICE}`, { cause: error });
}

/** What is needed of the engine's description of a service. */
interface ServiceState {
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly TaskTemplate: { readonly ContainerSpec: { Image: string } } };
}
