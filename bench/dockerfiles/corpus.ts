/*
 * A corpus of Dockerfiles: a directory whose subdirectories are build contexts with a `Dockerfile`
 * in each, and whose files are Dockerfiles of which no context is known.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DirectoryContext, UNKNOWN_CONTEXT } from "../../src/obuilder/dockerfile/build-context.js";
import { type FromDockerfile, specFromDockerfile } from "../../src/obuilder/dockerfile/convert.js";
import { DockerfileError, type Problem } from "../../src/obuilder/dockerfile/errors.js";
import { NO_SETTINGS } from "../../src/obuilder/dockerfile/image-settings.js";
import { IgnoreFile } from "../../src/text/index.js";

export interface Sample {
  readonly name: string;
  readonly text: Buffer;
  /** The build context's directory, if there is one. */
  readonly context: string | undefined;
}

export type Outcome = FromDockerfile | { readonly problems: readonly Problem[] };

/** The variable of the stand-ins for images. */
export const USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export function readCorpus(dir: string): Sample[] {
  return readdirSync(dir, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry): Sample[] => {
      const path = join(dir, entry.name);
      if (!entry.isDirectory()) {
        return [{ name: entry.name, text: readFileSync(path), context: undefined }];
      }
      const file = join(path, "Dockerfile");
      if (!existsSync(file)) return [];
      return [{ name: entry.name, text: readFileSync(file), context: path }];
    });
}

/**
 * Converts as `obuilder from-dockerfile` does where no image is here, or where all are and set
 * nothing but the usual PATH.
 */
export function convertSample(sample: Sample, imagesAreKnown: boolean): Outcome {
  const { text, context } = sample;
  try {
    return specFromDockerfile(text, {
      context: context === undefined ? UNKNOWN_CONTEXT : contextIn(context),
      ...(imagesAreKnown
        ? {
            imageEnv: () => new Map([["PATH", USUAL_PATH]]),
            imageSettings: () => NO_SETTINGS,
          }
        : {}),
    });
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    return { problems: error.problems };
  }
}

function contextIn(dir: string): DirectoryContext {
  const files = ["Dockerfile.dockerignore", ".dockerignore"].map((name) => join(dir, name));
  const file = files.find((path) => existsSync(path));
  return new DirectoryContext(dir, new IgnoreFile(file ? readFileSync(file, "utf8") : ""));
}
