/*
 * `obuilder from-dockerfile`: prints a Dockerfile as a spec, with what is known of its base images
 * and its build context.
 */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { CommandFailed } from "../../console/index.js";
import { IgnoreFile, visibleLines } from "../../text/index.js";
import { DirectoryContext } from "../dockerfile/build-context.js";
import { imagesAskedFor, specFromDockerfile } from "../dockerfile/convert.js";
import { DockerfileError } from "../dockerfile/errors.js";
import type { UnixUser } from "../spec/spec.js";
import { formatSpec } from "../spec/spec-printer.js";
import { knownImages } from "./known-images.js";
import { print, readInput } from "./streams.js";

export interface FromDockerfileCommand {
  readonly buildArg: readonly { readonly key: string; readonly value: string }[];
  /** Numbers of users, and of groups, by their names. */
  readonly user: readonly ({ readonly name: string } & UnixUser)[];
  readonly target?: string | undefined;
  /** The directory that COPY copies from; by default the Dockerfile's own. */
  readonly context?: string | undefined;
  /** A directory of OCI layouts that base images may be in. */
  readonly imageDir?: string | undefined;
  /** A store whose base images' variables are known. */
  readonly store?: string | undefined;
}

/** Prints a Dockerfile as a spec. */
export async function fromDockerfile(
  file: string,
  { buildArg, user, target, context, imageDir, store }: FromDockerfileCommand,
): Promise<void> {
  const text = readInput(file);
  const name = file === "-" ? "standard input" : file;
  const root = resolve(context ?? dirname(file));
  const options = {
    buildArgs: new Map(buildArg.map(({ key, value }) => [key, value])),
    users: new Map(user.map(({ name: userName, uid, gid }) => [userName, { uid, gid }])),
    context: new DirectoryContext(root, ignoreFile(file, root)),
    ...(target === undefined ? {} : { target }),
  };
  try {
    const known = await knownImages(imagesAskedFor(text, options), { imageDir, store });
    const { spec, warnings } = specFromDockerfile(text, {
      ...options,
      imageEnv: (image) => known.get(image)?.env && new Map(known.get(image)!.env),
      imageSettings: (image) => known.get(image)?.settings,
      imageAccounts: (image) => known.get(image)?.accounts,
    });
    for (const { line, message } of warnings) {
      process.stderr.write(`${visibleLines(`${name}:${line}: warning: ${message}`)}\n`);
    }
    await print(formatSpec(spec));
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    const lines = error.problems.map(({ line, message }) => `${name}:${line}: ${message}`);
    throw new CommandFailed(lines.join("\n"));
  }
}

/** The Dockerfile's own ignore file, else the context's. */
function ignoreFile(file: string, root: string): IgnoreFile {
  const found = [`${file}.dockerignore`, join(root, ".dockerignore")].find(existsSync);
  return new IgnoreFile(found === undefined ? "" : readFileSync(found, "utf8"));
}
