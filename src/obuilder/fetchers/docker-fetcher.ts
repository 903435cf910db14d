/*
 * Images from a Docker engine, which pulls those it does not have. The root is that of a container
 * made from the image.
 */

import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { pinnedName } from "../../docker/index.js";
import { endingText, ProgramError, run, start } from "../../system/index.js";
import type { FetchedImage, Fetcher, FetchIo, LayerDir, LogSink } from "../contracts.js";
import { BuildCancelled, failure } from "../errors.js";
import { type ImageFacts, type RunConfig, settingsIn } from "../image/image-facts.js";
import { imageNameOf } from "../image/image-name.js";
import { parseVariable } from "../image/variables.js";
import type { Env } from "../spec/spec.js";

// Capabilities of programs are in extended attributes; names of users are this machine's business.
const UNTAR = ["tar", "--numeric-owner", "--xattrs", "--xattrs-include=*"];

export class DockerFetcher implements Fetcher {
  canFetch(): Promise<boolean> {
    return engineAnswers();
  }

  async fetch(image: string, layer: LayerDir, { log, signal }: FetchIo): Promise<FetchedImage> {
    const name = await localName(image);
    const container = await createContainer(name, { log, signal });
    try {
      await exportContainer(container, join(layer.path, "rootfs"), { log, signal });
    } finally {
      await run(["docker", "rm", "--force", "--", container]);
    }
    const env = await imageEnv(name);
    const digest = await imageDigest(name);
    return digest === undefined ? { env } : { env, digest };
  }

  async knownEnv(image: string): Promise<Env | undefined> {
    return await imageEnv(await localName(image)).catch((error) => {
      if (!(error instanceof ProgramError)) throw error;
      return undefined;
    });
  }

  async resolve(image: string, signal: AbortSignal): Promise<string | undefined> {
    // An image that is nowhere but in this engine cannot be pulled, and stays what it is.
    await run(["docker", "pull", "--quiet", "--", image], { signal }).catch((error) => {
      if (!(error instanceof ProgramError)) throw error;
    });
    return await imageDigest(image);
  }
}

/** Whether there is an engine to talk to. */
export async function engineAnswers(): Promise<boolean> {
  return await run(["docker", "version", "--format", "{{.Server.Version}}"]).then(
    () => true,
    () => false,
  );
}

/** The image's variables. Rejects with `BuildError` if there is one without a value. */
export async function imageEnv(image: string): Promise<Env> {
  const format = '{{range .Config.Env}}{{print . "\\x00"}}{{end}}';
  const text = await run(["docker", "image", "inspect", "--format", format, "--", image]);
  return text
    .split("\0")
    .filter((variable) => variable !== "\n" && variable !== "")
    .map(parseVariable);
}

/**
 * What the engine knows of an image. Rejects with `ProgramError` if it does not have it, or does
 * not answer.
 */
export async function engineFacts(image: string): Promise<ImageFacts> {
  const format = "{{json .Config}}";
  const text = await run(["docker", "image", "inspect", "--format", format, "--", image]);
  const config = JSON.parse(text) as RunConfig;
  const env = (config.Env ?? []).map(parseVariable);
  return { env, ...settingsIn(config), accounts: await engineAccounts(image) };
}

/** Its users and groups, from a container that is never run. */
async function engineAccounts(image: string): Promise<ImageFacts["accounts"]> {
  // The image may not say what to run; it will not be.
  const container = (await run(["docker", "create", "--", image, "sh"])).trim();
  const read = async (path: string) => {
    const script = 'docker cp -L -- "$1" - 2> /dev/null | tar -xO 2> /dev/null | head -c 1000000';
    return await run(["sh", "-c", script, "sh", `${container}:${path}`]);
  };
  try {
    return { passwd: await read("/etc/passwd"), group: await read("/etc/group") };
  } finally {
    await run(["docker", "rm", "--force", "--", container]);
  }
}

/**
 * The digest by which a registry knows the image, else that of its configuration; undefined if the
 * engine does not say.
 */
export async function imageDigest(image: string): Promise<string | undefined> {
  const format = "{{json .RepoDigests}} {{.Id}}";
  const text = await run(["docker", "image", "inspect", "--format", format, "--", image]).catch(
    () => "",
  );
  const [, digests, id] = /^(\[.*\]) (sha256:[0-9a-f]{64})$/.exec(text.trim()) ?? [];
  if (digests === undefined) return id;
  const { repository } = imageNameOf(image);
  const known = (JSON.parse(digests) as string[]).map((name) => name.split("@"));
  return known.find(([name]) => name === repository)?.[1] ?? known[0]?.[1] ?? id;
}

/**
 * The name to ask the engine for. It does not mind a tag beside a digest in most commands, but does
 * in some; and the "digest" of an image that never was in a registry is that of its configuration,
 * by which the engine knows it.
 */
export async function localName(image: string): Promise<string> {
  if (!image.includes("@")) return image;
  const name = imageNameOf(image);
  const isId = await run([
    "docker",
    "image",
    "inspect",
    "--format",
    "{{.Id}}",
    "--",
    name.digest!,
  ]).then(
    () => true,
    () => false,
  );
  return isId ? name.digest! : pinnedName(name);
}

/** Its id. What the engine says meanwhile (it may have to pull) goes to the log. */
async function createContainer(image: string, io: FetchIo): Promise<string> {
  // The image may not say what to run; as it will not be run, anything will do, and is of no
  // interest if it fails.
  const argv = ["docker", "create", "--", image];
  return await logged([...argv, "sh"], io, argv);
}

/**
 * Runs a command of the engine, which is called `said` if it fails; resolves with its trimmed
 * output.
 */
async function logged(
  argv: readonly string[],
  { log, signal }: FetchIo,
  said: readonly string[],
): Promise<string> {
  const child = start(argv, { stdio: ["ignore", "pipe", "pipe"] });
  const stop = () => child.process.kill("SIGTERM");
  signal.addEventListener("abort", stop, { once: true });
  try {
    const [stdout, , ending] = await Promise.all([
      gather(child.process.stdout!),
      gather(child.process.stderr!, log),
      child.ended,
    ]);
    if (signal.aborted) throw new BuildCancelled();
    if (ending.status === 0) return stdout.trim();
    throw failure(endingText(said, ending));
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function exportContainer(
  container: string,
  rootfs: string,
  { log, signal }: FetchIo,
): Promise<void> {
  const exportArgv = ["docker", "export", "--", container];
  const untarArgv = [...UNTAR, "-C", rootfs, "-xf", "-"];
  const exporter = start(exportArgv, { stdio: ["ignore", "pipe", "pipe"] });
  const untar = start(untarArgv, { stdio: ["pipe", "ignore", "pipe"] });
  const stop = () => {
    exporter.process.kill("SIGKILL");
    untar.process.kill("SIGKILL");
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    const [exported, untarred] = await Promise.all([
      exporter.ended,
      untar.ended,
      gather(exporter.process.stderr!, log),
      gather(untar.process.stderr!, log),
      // Either may end early; why is in its status.
      pipeline(exporter.process.stdout!, untar.process.stdin!).catch(() => {}),
    ]);
    if (signal.aborted) throw new BuildCancelled();
    if (exported.status !== 0) throw failure(endingText(exportArgv, exported));
    if (untarred.status !== 0) throw failure(endingText(untarArgv, untarred));
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function gather(stream: NodeJS.ReadableStream, log?: LogSink): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer);
    await log?.write(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}
