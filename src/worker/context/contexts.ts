/**
 * Build contexts: for each job a directory of its own with the source tree it asked for, gone when the job ends.
 *
 *     STATE/git/NAME                  clones, kept
 *     STATE/tmp/build-context-PID-…   contexts and what else lives as long as a job
 */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { NamedMutex } from "../../obuilder/mutex.js";
import { quoted } from "../../text/quoting.js";
import { InvalidJob } from "../failure.js";
import { isLeftover, makePrivateDirectory, removeTree, temporaryName } from "../files.js";
import type { LineLog } from "./git.js";
import { endOrphans } from "./orphans.js";
import { Repository } from "./repository.js";
import { RepositoryUrl } from "./repository-url.js";

/** The source tree a job asks for. Without commits it is empty, and the repository does not matter. */
export interface SourceRequest {
  readonly repository: string;
  readonly commits: readonly string[];
  readonly includeGit: boolean;
}

export interface ContextOptions {
  readonly stateDir: string;
  /** ms after which a Git server that says nothing is given up. */
  readonly gitTimeout?: number | undefined;
}

const DEFAULT_GIT_TIMEOUT = 5 * 60_000;

export class Contexts {
  /** For what lives no longer than the process. */
  readonly temporary: string;
  readonly #clones: string;
  readonly #gitTimeout: number;
  readonly #locks = new NamedMutex();

  constructor({ stateDir, gitTimeout }: ContextOptions) {
    this.temporary = join(stateDir, "tmp");
    this.#clones = join(stateDir, "git");
    this.#gitTimeout = gitTimeout ?? DEFAULT_GIT_TIMEOUT;
  }

  /** Makes the directories, and ends and removes what a killed worker left in them. Call once, before the first job. */
  async open(): Promise<void> {
    makePrivateDirectory(this.temporary);
    makePrivateDirectory(this.#clones);
    for (const directory of [this.temporary, this.#clones]) await endOrphans(directory);
    for (const name of await readdir(this.temporary)) {
      if (isLeftover(name)) await removeTree(join(this.temporary, name));
    }
  }

  /**
   * Runs `body` with the path of a directory that holds the source, and removes it afterwards. What Git says goes to
   * `log`. `signal` ends waiting for another job of the same repository, but Git, once started, is left to finish, as
   * killing it can damage the clone. Throws `InvalidJob`, `JobFailed` and `signal`'s reason.
   */
  async withSource<T>(
    request: SourceRequest,
    { log, signal }: { readonly log: LineLog; readonly signal: AbortSignal },
    body: (directory: string) => Promise<T>,
  ): Promise<T> {
    const directory = join(this.temporary, temporaryName("build-context"));
    await mkdir(directory, { mode: 0o700 });
    try {
      if (request.commits.length > 0) await this.#fill(request, directory, log, signal);
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
    const url = new RepositoryUrl(repository);
    await this.#locks.hold(url.id, signal, () =>
      new Repository(url, this.#clones, this.temporary).checkout({
        log,
        commits,
        target,
        includeGit,
        maxSilence: this.#gitTimeout,
      }),
    );
  }
}
