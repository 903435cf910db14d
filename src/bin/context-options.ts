/**
 * Options of the commands that submit a job: a local directory as the build context.
 */
import { Option } from "@commander-js/extra-typings";
import { existingDirectory, existingFile, option, seldom } from "../cli/index.js";
import type { DockerContext, SendContextOptions } from "../client/local-context/send-context.js";
import { UsageError } from "../console/index.js";

/** In the order of the help. */
export const CONTEXT_OPTIONS = {
  context: option("--context <DIR>", "Build from this local directory.", existingDirectory),
  ignoreFile: seldom(
    option("--ignore-file <FILE>", "Instead of the directory's .dockerignore.", existingFile),
  ),
  /** Of commands that have no such option for other reasons. */
  includeGit: seldom(
    new Option("--include-git", "With --context: .git of the directory, too.").default(false),
  ),
} as const;

export interface ContextCommand {
  readonly context?: string | undefined;
  readonly ignoreFile?: string | undefined;
  readonly includeGit: boolean;
}

/** What is to be sent, but for how. */
export type ContextOrder = Pick<
  SendContextOptions,
  "directory" | "docker" | "ignoreFile" | "includeGit"
>;

/**
 * What is to be sent; undefined: nothing. Throws a `UsageError` for options that make no sense
 * together.
 */
export function contextOrder(
  { context: directory, ignoreFile, includeGit }: ContextCommand,
  url: string | undefined,
  docker?: DockerContext,
): ContextOrder | undefined {
  if (directory === undefined) {
    if (ignoreFile === undefined) return undefined;
    throw new UsageError("--ignore-file says nothing without --context.");
  }
  if (url !== undefined) {
    throw new UsageError(
      "--context and a repository exclude each other: a job is built from one of them.",
    );
  }
  return { directory, ignoreFile, includeGit, docker };
}

/** Throws a `UsageError`: of a repository only Docker jobs have it. */
export function checkIncludeGit({ context, includeGit }: ContextCommand): void {
  if (!includeGit || context !== undefined) return;
  throw new UsageError("--include-git says nothing without --context.");
}
