/*
 * Whether builds work here: one is tried.
 */

import type { Builder } from "./build/builder.js";
import { NoSpaceError } from "./build/no-space.js";
import type { BuildLog } from "./contracts.js";
import { BuildCancelled, BuildError } from "./errors.js";
import { readSpec } from "./spec/spec-reader.js";

/** Time for the build itself, in ms. */
const TIMEOUT = 300_000;

const IMAGE = "busybox";
const SPEC = readSpec(`((from ${IMAGE}) (shell /bin/sh -c) (run (shell "echo healthcheck")))`);

/** Most often it is the network. The image is in the store from then on. */
const WITHOUT_IMAGE =
  `The health check builds on the image ${IMAGE}, and this machine did not get it. If a registry is to be asked, look at ` +
  `the network, its name server and proxy; if not, make it with \`obuilder import-image --obuilder-image-dir=DIR ${IMAGE} ROOT\` and give --obuilder-image-dir=DIR, ` +
  "or load it into the Docker engine and give --obuilder-fetch=docker.";

/** An empty directory would do; nothing is copied. */
const SOURCE_DIR = "/";

export interface HealthcheckOptions {
  /** In ms. Fetching the image is not timed. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/**
 * Builds a step on the image `busybox`, and removes its layer. Rejects with `BuildError`: `Timeout
 * running healthcheck`, or what went wrong, with the log so far.
 */
export async function healthcheck(
  builder: Builder,
  { timeout = TIMEOUT, signal }: HealthcheckOptions = {},
): Promise<void> {
  await importImage(builder, signal);
  const log = new GatheredLog();
  const timer = AbortSignal.timeout(timeout);
  const either = signal ? AbortSignal.any([signal, timer]) : timer;
  try {
    const request = { spec: SPEC, sourceDir: SOURCE_DIR, log, signal: either };
    await builder.delete(await builder.build(request));
  } catch (error) {
    if (error instanceof BuildCancelled && timer.aborted && !signal?.aborted) {
      throw new BuildError("Timeout running healthcheck");
    }
    if (!(error instanceof BuildError)) throw error;
    const said = log.text.trim();
    throw said === "" ? error : new BuildError(`${error.message}\n${said}`);
  }
}

async function importImage(builder: Builder, signal: AbortSignal | undefined): Promise<void> {
  try {
    await builder.importImage(IMAGE, signal);
  } catch (error) {
    if (!(error instanceof BuildError) || error instanceof NoSpaceError) throw error;
    throw new BuildError(`${error.message}\n${WITHOUT_IMAGE}`);
  }
}

class GatheredLog implements BuildLog {
  text = "";

  heading(text: string): void {
    this.text += `${text}\n`;
  }

  note(text: string): void {
    this.text += `${text}\n`;
  }

  output(data: Uint8Array): void {
    this.text += Buffer.from(data).toString("utf8");
  }
}
