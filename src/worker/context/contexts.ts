/**
 * Build contexts: for each job a directory of its own with the source tree it asked for, gone when
 * the job ends.
 *
 *     STATE/git/NAME                  clones, kept
 *     STATE/contexts/ab/ab12…         files of clients' local directories, kept for a while
 *     STATE/tmp/build-context-PID-…   contexts and what else lives as long as a job
 */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { NamedMutex } from "../../async/index.js";
import { removeTree } from "../../system/index.js";
import { quoted } from "../../text/index.js";
import { InvalidJob } from "../failure.js";
import { isLeftover, makePrivateDirectory, temporaryName } from "../files.js";
import type { ContextLink } from "./context-link.js";
import type { LineLog } from "./git.js";
import { DEFAULT_GIT_LIMITS, type GitLimits } from "./git-limits.js";
import { LocalContexts, type LocalRequest } from "./local-contexts.js";
import { endOrphans } from "./orphans.js";
import { cloneName, Repository } from "./repository.js";
import { RepositoryUrl } from "./repository-url.js";

/**
 * The source tree a job asks for. Without commits it is empty, and the repository does not matter.
 */
export interface SourceRequest {
  readonly repository: string;
  readonly commits: readonly string[];
  readonly includeGit: boolean;
  /** Instead of commits: a local directory of the job's client. */
  readonly local?: LocalRequest | undefined;
}

export interface ContextOptions {
  readonly stateDir: string;
  /** ms after which a Git server that says nothing is given up. */
  readonly gitTimeout?: number | undefined;
  /**
   * Bytes, and files and directories, that a clone with its work tree may have. Default:
   * `DEFAULT_GIT_LIMITS`.
   */
  readonly gitMaxSize?: number | undefined;
  readonly gitMaxFiles?: number | undefined;
  /** Bytes of files of local directories that are kept for the next job. Default: 10 GiB. */
  readonly contextCache?: number | undefined;
}

const DEFAULT_CONTEXT_CACHE = 10 * 1024 ** 3;

const DEFAULT_GIT_TIMEOUT = 5 * 60_000;

/** Digits of a hash, else 40. */
const SHA256_DIGITS = 64;

export class Contexts {
  /** For what lives no longer than the process. */
  readonly temporary: string;
  readonly #local: LocalContexts;
  readonly #clones: string;
  readonly #gitTimeout: number;
  readonly #limits: GitLimits;
  readonly #locks = new NamedMutex();

  constructor({ contextCache, stateDir, gitTimeout, gitMaxFiles, gitMaxSize }: ContextOptions) {
    this.#local = new LocalContexts(
      join(stateDir, "contexts"),
      contextCache ?? DEFAULT_CONTEXT_CACHE,
    );
    this.temporary = join(stateDir, "tmp");
    this.#clones = join(stateDir, "git");
    this.#gitTimeout = gitTimeout ?? DEFAULT_GIT_TIMEOUT;
    this.#limits = {
      maxSize: gitMaxSize ?? DEFAULT_GIT_LIMITS.maxSize,
      maxFiles: gitMaxFiles ?? DEFAULT_GIT_LIMITS.maxFiles,
    };
  }

  /**
   * Makes the directories, and ends and removes what a killed worker left in them. Call once,
   * before the first job.
   */
  async open(): Promise<void> {
    makePrivateDirectory(this.temporary);
    makePrivateDirectory(this.#clones);
    for (const directory of [this.temporary, this.#clones]) await endOrphans(directory);
    for (const name of await readdir(this.temporary)) {
      if (isLeftover(name)) await removeTree(join(this.temporary, name));
    }
  }

  /** How what clients have sent of their local directories is reached. */
  get link(): ContextLink {
    return this.#local.link;
  }

  /**
   * Runs `body` with the path of a directory that holds the source, and removes it afterwards. What
   * Git says goes to `log`. `signal` ends waiting for another job of the same repository, and Git
   * with all that it has started. Throws `InvalidJob`, `JobFailed` and `signal`'s reason.
   */
  async withSource<T>(
    request: SourceRequest,
    { log, signal }: { readonly log: LineLog; readonly signal: AbortSignal },
    body: (directory: string) => Promise<T>,
  ): Promise<T> {
    const directory = join(this.temporary, temporaryName("build-context"));
    await mkdir(directory, { mode: 0o700 });
    try {
      if (request.local) await this.#local.fill(request.local, directory, { log, signal });
      else if (request.commits.length > 0) await this.#fill(request, directory, log, signal);
      signal.throwIfAborted();
      return await body(directory);
    } finally {
      await removeTree(directory);
    }
  }

  async #fill(
    { commits, repository, includeGit }: SourceRequest,
    target: string,
    log: LineLog,
    signal: AbortSignal,
  ): Promise<void> {
    const invalid = commits.find((commit) => !/^([0-9a-f]{40}|[0-9a-f]{64})$/i.test(commit));
    if (invalid !== undefined) {
      throw new InvalidJob(`Invalid commit ${quoted(invalid)}: expected a full hash`);
    }
    const other = commits.find((commit) => commit.length !== commits[0]!.length);
    if (other !== undefined) {
      throw new InvalidJob(`Invalid commit ${quoted(other)}: of another length than the first one`);
    }
    const url = new RepositoryUrl(repository);
    const format = commits[0]!.length === SHA256_DIGITS ? "sha256" : "sha1";
    await this.#locks.hold(cloneName(url, format), signal, () =>
      new Repository(url, format, this.#clones, this.temporary).checkout({
        log,
        signal,
        limits: this.#limits,
        commits,
        target,
        includeGit,
        maxSilence: this.#gitTimeout,
      }),
    );
  }
}
