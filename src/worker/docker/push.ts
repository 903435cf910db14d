/**
 * Pushing an image to a registry.
 */
import type Docker from "dockerode";
import { sleep } from "../../async/index.js";
import { logger } from "../../console/index.js";
import { engineMessages, progressText } from "../../docker/index.js";
import { quoted } from "../../text/index.js";
import type { BuildIo } from "../build.js";
import { JobFailed } from "../failure.js";
import { engineFailure, postForStream } from "./engine.js";
import type { PushTarget } from "./push-target.js";

export interface PushRequest {
  /** The image's id. */
  readonly image: string;
  readonly target: PushTarget;
  readonly auth?: { readonly user: string; readonly password: string } | undefined;
}

const RETRIES = 5;

/** How long to wait after the attempt `n` of 1, 2, …, in seconds. */
function delayAfter(n: number): number {
  return n * 2 * 2 ** n;
}

/** A registry that says this will say it again. */
const FINAL = /\b(denied|unauthorized|authentication required|no basic auth credentials)\b/i;

/**
 * Pushes, and returns the RepoId `REPO@sha256:…`. The caller holds the lock on pushes. Throws
 * `JobFailed`.
 */
export async function pushImage(
  docker: Docker,
  { auth, image, target }: PushRequest,
  io: BuildIo,
): Promise<string> {
  const say = (text: string): void => {
    logger("worker").info(text);
    io.log.append(text);
  };
  say(
    `Pushing ${quoted(image)} to ${quoted(String(target))}${auth ? ` as user ${quoted(auth.user)}` : ""}`,
  );
  const login = auth && {
    username: auth.user,
    password: auth.password,
    serveraddress: target.registry,
  };
  try {
    // The engine asks the registry, which may not answer; other pushes wait for this one.
    if (login) await docker.checkAuth({ ...login, abortSignal: io.signal });
  } catch (error) {
    io.signal.throwIfAborted();
    const failure = engineFailure(error);
    if (!(failure instanceof JobFailed)) throw failure;
    io.log.append(failure.message);
    throw new JobFailed(`Failed to docker-login as ${quoted(auth!.user)}`, { cause: error });
  }
  try {
    await docker.getImage(image).tag({ repo: target.repo, tag: target.tag });
  } catch (error) {
    throw engineFailure(error);
  }
  for (let attempt = 1; ; attempt++) {
    io.signal.throwIfAborted();
    try {
      return `${target.repo}@${await attemptPush(docker, target, login, io)}`;
    } catch (error) {
      if (io.signal.aborted) say(`Push was canceled after ${attempt} attempts.`);
      if (io.signal.aborted || !(error instanceof JobFailed)) throw error;
      if (attempt > RETRIES || FINAL.test(error.message)) {
        if (attempt > RETRIES) say(`Push exhausted retries after ${attempt} attempts.`);
        throw new JobFailed(`docker-push failed: ${error.message}`, { cause: error });
      }
      const delay = delayAfter(attempt);
      say(
        `Push attempt ${attempt}/${RETRIES + 1} failed with retryable error ${quoted(error.message)}. ` +
          `Retrying in ${delay} seconds...`,
      );
      await sleep(delay * 1000, io.signal);
    }
  }
}

/** One attempt; the digest of the pushed manifest. */
async function attemptPush(
  docker: Docker,
  { repo, tag }: PushTarget,
  auth: { readonly username: string; readonly password: string } | undefined,
  { log, signal }: BuildIo,
): Promise<string> {
  const response = await postForStream(docker, {
    path: `/images/${repo}/push`,
    query: { tag },
    // The engine wants the header also from those who have not logged in.
    auth: auth ?? { username: "", password: "" },
    signal,
  });
  let digest: string | undefined;
  try {
    for await (const message of engineMessages(response)) {
      await log.write(progressText(message));
      const failure = message.errorDetail?.message ?? message.error;
      if (failure !== undefined) throw new JobFailed(failure);
      const { aux } = message;
      if (typeof aux === "object" && aux !== null && "Digest" in aux) digest = String(aux.Digest);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw engineFailure(error);
  }
  return digest ?? (await inspectDigest(docker, repo, tag));
}

/**
 * The digest as the engine remembers it. An image can have digests in other repositories, which are
 * no use here.
 */
async function inspectDigest(docker: Docker, repo: string, tag: string): Promise<string> {
  const { RepoDigests } = await docker.getImage(`${repo}:${tag}`).inspect();
  const found = (RepoDigests ?? []).find((digest) => digest.startsWith(`${repo}@`));
  if (found) return found.slice(repo.length + 1);
  throw new JobFailed(
    `Can't find target repository '${repo}@…' in list ${quoted((RepoDigests ?? []).join(" "))}!`,
  );
}
