/**
 * The local clone of one repository, from which jobs get their source trees.
 *
 * A clone is a directory `git/BASENAME-SHA1(url)` that is used by one job at a time. Its work tree is handed to the job
 * by moving it away, so it is usually empty; the next job's `reset` fills it again. A clone that is found damaged
 * (a lock that a killed Git left, objects that cannot be read) is removed and made anew, once per job.
 */
import { mkdir, readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../obuilder/process.js";
import { quoted } from "../../text/quoting.js";
import { JobFailed } from "../failure.js";
import { makePrivateDirectory, removeTree, temporaryName } from "../files.js";
import { Git, GitFailed, type LineLog } from "./git.js";
import type { RepositoryUrl } from "./repository-url.js";

const GIT_DIR = Buffer.from(".git");

export interface CheckoutOptions {
  readonly log: LineLog;
  /** Full hashes; the first is checked out, the others are merged into it in turn. */
  readonly commits: readonly string[];
  /** An existing empty directory that gets the work tree. */
  readonly target: string;
  /** Whether it gets `.git` too. */
  readonly includeGit: boolean;
  /** ms after which a silent server is given up. */
  readonly maxSilence: number;
}

export class Repository {
  readonly #clone: string;

  constructor(
    readonly url: RepositoryUrl,
    /** The directory of all clones. */
    private readonly parent: string,
    /** Where to put files for the time of a checkout. */
    private readonly temporary: string,
  ) {
    this.#clone = join(parent, url.id);
  }

  /** Puts the merged source tree into `target`. The caller holds the repository's lock. Throws `JobFailed`. */
  async checkout(options: CheckoutOptions): Promise<void> {
    if (await this.#isLocked()) await this.#remove(options.log);
    try {
      await this.#attempt(options);
    } catch (error) {
      if (!(error instanceof GitFailed && error.saysCorrupted)) throw error;
      await this.#remove(options.log);
      for (const name of await readdir(options.target))
        await removeTree(join(options.target, name));
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
      await removeTree(file);
    }
  }

  async #attemptWith(options: CheckoutOptions, credentialFile: string | undefined): Promise<void> {
    const { commits, log, maxSilence, target } = options;
    await this.#ensureClone(log);
    const git = new Git(this.#clone, { log, credentialFile });
    if (await this.#has(git, commits)) log("All commits already cached");
    else await this.#fetch(git, options);

    const [first, ...others] = commits;
    await git.run("git-reset", ["reset", "--hard", first!]);
    await git.run("git-submodule-deinit", ["submodule", "--quiet", "deinit", "--all", "--force"]);
    await git.run("git-clean", ["clean", "-q", "-ffdx"]);
    for (const commit of others) {
      await git.run("git-merge", ["merge", "--no-edit", "--no-gpg-sign", commit]);
    }
    await git.run("git-submodule-sync", ["submodule", "--quiet", "sync", "--recursive"]);
    await git.run(
      "git-submodule-update",
      ["submodule", "update", "--init", "--recursive", "--progress"],
      maxSilence,
    );
    // Names are bytes, which need not be text.
    for (const name of await readdir(this.#clone, { encoding: "buffer" })) {
      if (!name.equals(GIT_DIR)) await rename(inside(this.#clone, name), inside(target, name));
    }
    if (options.includeGit) {
      await run(["cp", "--archive", "--reflink=auto", "--", join(this.#clone, ".git"), target]);
      // Whoever fetches in there wants branches, not every pull request there ever was.
      await new Git(target, { log }).succeeds([
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
    await git.run("git-fetch", ["fetch", ...flags, "origin"], maxSilence);
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

  async #has(git: Git, commits: readonly string[]): Promise<boolean> {
    for (const commit of commits) {
      if (!(await git.succeeds(["cat-file", "-e", `${commit}^{commit}`]))) return false;
    }
    return true;
  }

  /** Makes an empty clone if there is none; either the whole of it appears or nothing. */
  async #ensureClone(log: LineLog): Promise<void> {
    makePrivateDirectory(this.parent);
    const draft = join(this.temporary, temporaryName("git-init"));
    await mkdir(draft, { mode: 0o700 });
    try {
      if ((await readdir(this.parent)).includes(this.url.id)) return;
      const git = new Git(draft, { log });
      await git.run("git-init", ["init", "--quiet"]);
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

function inside(directory: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), name]);
}
