/**
 * From a client's command line to the description of a job: what files say is read, and what makes
 * no sense refused.
 */
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Action, DockerBuild, Push, Secret, Source } from "../api/index.js";
import { CommandFailed, UsageError } from "../console/index.js";
import { fromBytes, quoted } from "../text/index.js";

export interface DockerOptions {
  readonly localDockerfile?: string | undefined;
  readonly contextDockerfile?: string | undefined;
  readonly pushTo?: string | undefined;
  readonly pushUser?: string | undefined;
  readonly pushPassword?: string | undefined;
  readonly buildArg: readonly string[];
  readonly squash: boolean;
  readonly buildkit: boolean;
  readonly includeGit: boolean;
}

/** Throws a `UsageError` if options exclude each other, and the system's errors for files. */
export function dockerAction(options: DockerOptions): DockerBuild {
  const { localDockerfile, contextDockerfile, buildArg, squash, buildkit, includeGit } = options;
  if (localDockerfile !== undefined && contextDockerfile !== undefined) {
    throw new UsageError("Can't use --local-dockerfile and --context-dockerfile together!");
  }
  return {
    kind: "docker",
    dockerfile:
      localDockerfile === undefined
        ? { path: contextDockerfile ?? "Dockerfile" }
        : { contents: readText(localDockerfile) },
    push: pushOf(options),
    buildArgs: buildArg,
    squash,
    buildkit,
    includeGit,
  };
}

/**
 * What is to be built by the Dockerfile in a local directory, and where that is. Throws a
 * `CommandFailed` if there is none.
 */
export function dockerfileIn(
  directory: string,
  action: DockerBuild,
): { readonly action: DockerBuild; readonly file: string } | undefined {
  if (!("path" in action.dockerfile)) return undefined;
  const file = join(directory, action.dockerfile.path);
  if (!lstatSync(file, { throwIfNoEntry: false })?.isFile()) {
    throw new CommandFailed(
      `There is no file ${quoted(file)}: name the Dockerfile with --context-dockerfile, in the directory, or ` +
        "--local-dockerfile, elsewhere.",
    );
  }
  return { action: { ...action, dockerfile: { contents: readText(file) } }, file };
}

export function obuilderAction(file: string): Action {
  return { kind: "obuilder", spec: readText(file) };
}

/** The commits to build, from the command line's positional arguments. */
export function sourceOf(
  repository: string | undefined,
  commits: readonly string[],
): Source | undefined {
  if (repository === undefined) return undefined;
  // No URL has no scheme, and what is here can only be meant as a file.
  if (!repository.includes("://") && existsSync(repository)) {
    throw new UsageError(
      `${quoted(repository)} is a file on this machine, not the URL of a repository. To build it: ` +
        "`ocluster-client submit FILE`, or --local-file or --local-dockerfile.",
    );
  }
  if (commits.length === 0) {
    throw new CommandFailed(`No commits requested from repository ${quoted(repository)}!`);
  }
  return { repository, commits };
}

/**
 * A secret to send along: its name in the spec or Dockerfile, and the file that holds its value.
 */
export interface SecretFile {
  readonly id: string;
  readonly file: string;
}

export function readSecrets(secrets: readonly SecretFile[]): Secret[] {
  return secrets.map(({ id, file }) => ({ id, value: readText(file) }));
}

function pushOf({ pushTo, pushUser, pushPassword }: DockerOptions): Push | undefined {
  if (pushTo === undefined) {
    if (pushUser === undefined && pushPassword === undefined) return undefined;
    throw new UsageError("Must use --push-to with --push-user/--push-password");
  }
  if ((pushUser === undefined) !== (pushPassword === undefined)) {
    throw new UsageError("Must use --push-user with --push-password");
  }
  if (pushUser === undefined || pushPassword === undefined) return { target: pushTo };
  const [password = ""] = readText(pushPassword).split("\n", 1);
  return { target: pushTo, auth: { user: pushUser, password } };
}

/** A file's content as a byte string. */
function readText(path: string): string {
  return fromBytes(readFileSync(path));
}
