/**
 * Docker jobs: an image built by the engine from a context, and pushed if the job says so.
 *
 * The engine's API is used throughout; there is no client program, so none has to be installed, and
 * neither passwords nor secrets ever are arguments, variables or files.
 */

import { basename } from "node:path";
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import type { DockerBuild, Push, Secret } from "../../api/index.js";
import { NamedMutex } from "../../async/index.js";
import { logger } from "../../console/index.js";
import {
  DOCKER_HUB,
  type EngineMessage,
  engineMessages,
  OperatorLogins,
  progressText,
} from "../../docker/index.js";
import { toBytes } from "../../text/index.js";
import type { BuildIo } from "../build.js";
import { JobFailed } from "../failure.js";
import type { WorkerMetrics } from "../metrics.js";
import { writeImageFiles } from "../outputs/image-files.js";
import type { OutputCapture } from "../outputs/output-capture.js";
import { BuildKitProgress } from "./buildkit-progress.js";
import { openSession } from "./buildkit-session.js";
import { packContext } from "./context-tar.js";
import { placeDockerfile } from "./dockerfile.js";
import { engineFailure, postForStream } from "./engine.js";
import { pushImage } from "./push.js";
import { PushTarget } from "./push-target.js";
import { sessionDirectories } from "./session-files.js";

const log = logger("worker");

/** What BuildKit calls Docker Hub. */
const HUB_HOST = "registry-1.docker.io";

export interface DockerBuilderOptions {
  readonly docker: Docker;
  /** Repositories that jobs may push to. */
  readonly allowPush: readonly string[];
  /** The network of the builds' RUN steps; the engine's default if not given. */
  readonly network?: string | undefined;
  readonly metrics: WorkerMetrics;
}

/** Where an image may be pushed to, and as whom. */
export interface PushOrder extends Omit<Push, "target"> {
  readonly target: PushTarget;
}

export interface DockerJob extends Omit<DockerBuild, "push"> {
  readonly push?: PushOrder | undefined;
  readonly secrets: readonly Secret[];
  /** The build context. A Dockerfile may be written to it. */
  readonly src: string;
  /** Takes the files that are to be handed over. */
  readonly capture?: OutputCapture | undefined;
}

export class DockerBuilder {
  readonly #pushes = new NamedMutex();

  constructor(private readonly options: DockerBuilderOptions) {}

  /**
   * Looks at where a job wants to push to, before work is done for it. Throws `InvalidJob`, and
   * `JobFailed` if it may not.
   */
  checkPush({ auth, target: text }: Push): PushOrder {
    const target = PushTarget.parse(text);
    // To push an image, the engine has to be told its new name first. Whoever may not push must not
    // name images either: this worker's own image has a name, too.
    if (!this.options.allowPush.includes(target.repo)) {
      throw new JobFailed(
        `To allow pushing to this repository, start the worker with --allow-push "${target.repo}"`,
      );
    }
    return { target, auth };
  }

  /**
   * Builds, and pushes. The result is the RepoId of what was pushed, or "". Throws `JobFailed`, and
   * the signal's reason.
   */
  async build(job: DockerJob, io: BuildIo): Promise<string> {
    const { docker, metrics } = this.options;
    const { push } = job;
    const { capture } = job;
    const image = await this.#buildImage(job, io).catch(async (error) => {
      if (!io.signal.aborted) await capture?.ofFailure(undefined);
      throw error;
    });
    await capture?.ofSuccess((writer, wanted) =>
      writeImageFiles(docker, image, wanted, writer, io.signal),
    );
    if (!push) return "";
    return this.#pushes.hold("push", io.signal, async () => {
      const stop = metrics.pushTime.startTimer();
      try {
        return await pushImage(docker, { image, ...push }, io);
      } finally {
        stop();
      }
    });
  }

  /** The id of the image. */
  async #buildImage(job: DockerJob, io: BuildIo): Promise<string> {
    const { docker, network } = this.options;
    const { buildArgs, secrets, src, squash } = job;
    // Only BuildKit knows of secrets.
    const buildkit = job.buildkit || secrets.length > 0;
    const dockerfile = await placeDockerfile(src, job.dockerfile);
    const logins = await OperatorLogins.read((message) => log.warn(message));
    const session = buildkit
      ? await openSession(docker, {
          directories: await sessionDirectories(src, dockerfile),
          secrets: new Map(secrets.map(({ id, value }) => [id, toBytes(value)])),
          registryAuth: (host) => logins.get(host === HUB_HOST ? DOCKER_HUB : host),
        })
      : undefined;
    try {
      const response = await postForStream(docker, {
        path: "/build",
        query: {
          // BuildKit has a directory for it.
          dockerfile: session ? basename(dockerfile) : dockerfile,
          version: buildkit ? 2 : 1,
          pull: 1,
          rm: 1,
          forcerm: 1,
          ...(squash && { squash: 1 }),
          ...(network !== undefined && { networkmode: network }),
          ...(session && { session: session.id, remote: session.remote }),
          buildargs: JSON.stringify(Object.fromEntries(buildArgs.map(buildArg))),
        },
        // BuildKit asks by way of the session.
        ...(!session && {
          body: await packContext(src, dockerfile),
          auths: await logins.all(),
        }),
        signal: io.signal,
      });
      return await followBuild(response, io);
    } finally {
      session?.close();
    }
  }
}

/**
 * `K=V`, or `K` for an argument without a value: the worker's environment is not the job's to see.
 */
function buildArg(text: string): [string, string | null] {
  const equals = text.indexOf("=");
  return equals < 0 ? [text, null] : [text.slice(0, equals), text.slice(equals + 1)];
}

/** Passes a build's output on until it ends, and returns the image's id. */
async function followBuild(response: Readable, { log, signal }: BuildIo): Promise<string> {
  const buildkit = new BuildKitProgress();
  let image = "";
  try {
    for await (const message of engineMessages(response)) {
      const isTrace = message.id === "moby.buildkit.trace";
      await log.write(
        isTrace ? buildkit.text(Buffer.from(String(message.aux), "base64")) : progressText(message),
      );
      image = imageId(message) ?? image;
      const failure = message.errorDetail ?? message.error;
      if (failure !== undefined) {
        const code = (typeof failure === "object" && failure.code) || 1;
        throw new JobFailed(`docker-build failed with exit-code ${code}`);
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    throw engineFailure(error);
  }
  if (image === "") throw new JobFailed("The Docker engine ended the build without an image");
  return image;
}

function imageId({ aux, id }: EngineMessage): string | undefined {
  if (id === "moby.buildkit.trace" || typeof aux !== "object" || aux === null) return undefined;
  return "ID" in aux ? String(aux.ID) : undefined;
}
