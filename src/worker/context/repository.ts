/**
 * The local clone of one repository, from which jobs get their source trees.
 *
 * A clone is a directory `git/BASENAME-SHA1(url)` that is used by one job at a time. Its work tree
 * is handed to the job by moving it away, so it is usually empty; the next job's `reset` fills it
 * again. A clone that is found damaged (a lock that a killed Git left, objects that cannot be read)
 * is removed and made anew, once per job. One that has become larger than it may be is removed.
 *
 * Repositories name commits by SHA-1 or by SHA-256, and a clone has the format of its remote, which
 * the commits tell. That is in a clone's name (`…-sha256`), so that a job that asks for what is not
 * there does no harm to the others.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { removeTree, run } from "../../system/index.js";
import { quoted } from "../../text/index.js";
import { JobFailed } from "../failure.js";
import { makePrivateDirectory, temporaryName } from "../files.js";
import { Git, GitFailed, type GitOptions, type LineLog } from "./git.js";
import { type GitLimits, GitTooLarge, Tally, TreeCounter } from "./git-limits.js";
import type { RepositoryUrl } from "./repository-url.js";

const GIT_DIR = Buffer.from(".git");

export interface CheckoutOptions {
  readonly log: LineLog;
  /** Ends Git; its reason is thrown then. */
  readonly signal: AbortSignal;
  readonly limits: GitLimits;
  /**
   * Full hashes, all of the repository's format; the first is checked out, the others are merged
   * into it in turn.
   */
  readonly commits: readonly string[];
  /** An existing empty directory that gets the work tree. */
  readonly target: string;
  /** Whether it gets `.git` too. */
  readonly includeGit: boolean;
  /** ms after which a silent server is given up. */
  readonly maxSilence: number;
}

/** The algorithm that a repository's hashes are made by. */
export type ObjectFormat = "sha1" | "sha256";

/** What Git writes packs to, and leaves behind when it is ended. */
const TEMPORARY_PACK = /^tmp_/;

/**
 * Left in a clone in which Git was killed. It says what a lock of Git's says: nobody knows what is
 * in order.
 */
const KILLED = "killed.lock";

export class Repository {
  readonly #clone: string;

  constructor(
    readonly url: RepositoryUrl,
    readonly format: ObjectFormat,
    /** The directory of all clones. */
    private readonly parent: string,
    /** Where to put files for the time of a checkout. */
    private readonly temporary: string,
  ) {
    this.#clone = join(parent, cloneName(url, format));
  }

  /**
   * Puts the merged source tree into `target`. The caller holds `cloneName`'s lock. Throws
   * `JobFailed`, and the signal's reason.
   */
  async checkout(options: CheckoutOptions): Promise<void> {
    if (await this.#isLocked()) await this.#remove(options.log);
    await this.#removeTemporaryPacks();
    try {
      await this.#attempt(options);
    } catch (error) {
      if (error instanceof GitTooLarge) await removeTree(this.#clone);
      if (!(error instanceof GitFailed && error.saysCorrupted)) throw error;
      await this.#remove(options.log);
      const names = await readdir(options.target);
      await removeTree(...names.map((name) => join(options.target, name)));
      await this.#attempt(options);
    }
  }

  async #attempt(options: CheckoutOptions): Promise<void> {
    const { url } = this;
    if (!url.credentials) return this.#attemptWith(options, undefined);
    // A file, as arguments and variables can be seen by others.
    const file = join(this.temporary, temporaryName("git-credentials"));
    await writeFile(file, `${url.credentials}\n`, { mode: 0o600, flag: "wx" });
    try {
      await this.#attemptWith(options, file);
    } finally {
      await rm(file, { force: true });
    }
  }

  async #attemptWith(options: CheckoutOptions, credentialFile: string | undefined): Promise<void> {
    await this.#ensureClone(options);
    const git = new Git(this.#clone, { ...options, credentialFile });
    try {
      await this.#prepare(git, options);
    } finally {
      if (git.wasKilled) await writeFile(join(this.#clone, ".git", KILLED), "");
    }
    await this.#handOver(options);
  }

  /** Has the clone's work tree be what the job asked for. */
  async #prepare(git: Git, options: CheckoutOptions): Promise<void> {
    const { commits, limits, log, maxSilence } = options;
    if (await this.#has(git, commits)) log("All commits already cached");
    else await this.#fetch(git, options);

    const [first, ...others] = commits;
    await this.#measure(git, first!, limits);
    await git.run("git-reset", ["reset", "--hard", first!]);
    await git.run("git-submodule-deinit", ["submodule", "--quiet", "deinit", "--all", "--force"]);
    await git.run("git-clean", ["clean", "-q", "-ffdx"]);
    for (const commit of others) {
      await this.#measure(git, commit, limits);
      await git.run("git-merge", ["merge", "--no-edit", "--no-gpg-sign", commit]);
    }
    await git.run("git-submodule-sync", ["submodule", "--quiet", "sync", "--recursive"]);
    await git.run(
      "git-submodule-update",
      ["submodule", "update", "--init", "--recursive", "--progress"],
      maxSilence,
    );
  }

  /** Moves the work tree to the job, with a copy of the clone itself if it is wanted. */
  async #handOver(options: CheckoutOptions): Promise<void> {
    const { signal, target } = options;
    // Names are bytes, which need not be text.
    for (const name of await readdir(this.#clone, { encoding: "buffer" })) {
      if (!name.equals(GIT_DIR)) await rename(inside(this.#clone, name), inside(target, name));
    }
    if (options.includeGit) {
      const dotGit = join(this.#clone, ".git");
      await run(["cp", "--archive", "--reflink=auto", "--", dotGit, target], { signal });
      // Whoever fetches in there wants branches, not every pull request there ever was.
      await new Git(target, options).succeeds([
        "config",
        "--unset-all",
        "remote.origin.fetch",
        "refs/(pull|merge-requests)/",
      ]);
    }
  }

  async #fetch(git: Git, { commits, log, maxSilence }: CheckoutOptions): Promise<void> {
    // A branch that is gone may be in the way of a new one: there cannot be both `a` and `a/b`.
    const flags = [
      "--progress",
      "--prune",
      "--update-head-ok",
      "--recurse-submodules=no",
      "--no-auto-gc",
    ];
    log(`Fetching ${this.url.plain}`);
    try {
      await git.run("git-fetch", ["fetch", ...flags, "origin"], maxSilence);
    } catch (error) {
      if (!(error instanceof GitFailed && error.saysOtherFormat)) throw error;
      const [has, asked] = this.format === "sha1" ? ["SHA-256", "SHA-1"] : ["SHA-1", "SHA-256"];
      const why = `${this.url.plain} is a repository of ${has} hashes, and the job's are of ${asked}`;
      throw new JobFailed(why, { cause: error });
    }
    for (const commit of commits) {
      if (await this.#has(git, [commit])) continue;
      // No branch has it; most servers give it when asked for by name.
      try {
        await git.run("git-fetch", ["fetch", ...flags, "origin", commit], maxSilence);
      } catch (error) {
        if (!(error instanceof GitFailed)) throw error;
        throw new JobFailed(`Commit ${commit} not found in ${this.url.plain}`, { cause: error });
      }
    }
  }

  /** Throws `GitTooLarge` if the commit has more in it than a work tree may have. */
  async #measure(git: Git, commit: string, limits: GitLimits): Promise<void> {
    const counter = new TreeCounter(new Tally(`Commit ${commit}`, limits));
    const args = ["ls-tree", "-r", "-t", "-l", "-z", "--full-tree", commit];
    await git.read("git-ls-tree", args, counter.push);
  }

  async #has(git: Git, commits: readonly string[]): Promise<boolean> {
    for (const commit of commits) {
      if (!(await git.succeeds(["cat-file", "-e", `${commit}^{commit}`]))) return false;
    }
    return true;
  }

  /** Makes an empty clone if there is none; either the whole of it appears or nothing. */
  async #ensureClone(options: GitOptions): Promise<void> {
    makePrivateDirectory(this.parent);
    const draft = join(this.temporary, temporaryName("git-init"));
    await mkdir(draft, { mode: 0o700 });
    try {
      if (existsSync(this.#clone)) return;
      const git = new Git(draft, options);
      // Any Git knows the older format, without being asked for it.
      const format = this.format === "sha1" ? [] : [`--object-format=${this.format}`];
      await git.run("git-init", ["init", "--quiet", ...format]);
      const refs =
        this.url.host === "github.com"
          ? "+refs/pull/*:refs/remotes/pull/*"
          : "+refs/merge-requests/*/head:refs/remotes/origin/merge-requests/*";
      for (const [key, value] of [
        ["remote.origin.url", this.url.plain],
        ["remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"],
        ["remote.origin.fetch", refs],
      ] as const) {
        await git.run("git-config", ["config", "--add", key, value]);
      }
      await rename(draft, this.#clone);
    } finally {
      await removeTree(draft);
    }
  }

  async #removeTemporaryPacks(): Promise<void> {
    const packs = join(this.#clone, ".git/objects/pack");
    for (const name of await readdir(packs).catch(() => [])) {
      if (TEMPORARY_PACK.test(name)) await rm(join(packs, name), { force: true });
    }
  }

  /** Whether a Git process was killed while it changed the clone. */
  async #isLocked(): Promise<boolean> {
    const files = await readdir(join(this.#clone, ".git")).catch(() => []);
    return files.some((name) => name.endsWith(".lock"));
  }

  async #remove(log: LineLog): Promise<void> {
    log(`Removing corrupted repository ${quoted(this.#clone)}`);
    await removeTree(this.#clone);
  }
}

/** The name of a clone's directory. */
export function cloneName({ id }: RepositoryUrl, format: ObjectFormat): string {
  return format === "sha1" ? id : `${id}-${format}`;
}

function inside(directory: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), name]);
}
