/**
 * How much a repository may cost: what a server sends, and what a small tree of trees turns into
 * when it is checked out, is for an attacker to say. Trees are counted before they are checked out,
 * since Git holds all of one in memory; what cannot be counted before (a transfer, a submodule) is
 * watched while it grows.
 */
import { lstat, opendir } from "node:fs/promises";
import { totalmem } from "node:os";
import { sleep } from "../../async/index.js";
import { JobFailed } from "../failure.js";
import type { GitProcesses } from "./git-processes.js";

export interface GitLimits {
  /** Bytes of a clone with its work tree. */
  readonly maxSize: number;
  /** Files and directories in it. */
  readonly maxFiles: number;
}

/** Far more than the greatest public repositories have. */
export const DEFAULT_GIT_LIMITS: GitLimits = { maxSize: 100 * 2 ** 30, maxFiles: 5_000_000 };

/** The memory of one Git. Packs are mapped, so that real repositories take a fraction of it. */
const MAX_MEMORY = totalmem() / 2;

/**
 * How often, on the average, Git may read each byte of a clone: once as it comes, and once more for
 * what others are differences to. A server can send what takes no room when it is stored, so that
 * is not all in the clone.
 */
const MAX_READS = 4;

/** A clone, or what Git needs for it, has become too large. */
export class GitTooLarge extends JobFailed {}

/** Counts files and bytes. */
export class Tally {
  #files = 0;
  #size = 0;

  constructor(
    /** What is counted, as a sentence begins with it. */
    private readonly what: string,
    private readonly limits: GitLimits,
  ) {}

  /** Throws `GitTooLarge`. */
  add(size: number): void {
    const { maxFiles, maxSize } = this.limits;
    this.#files++;
    this.#size += size;
    if (this.#files > maxFiles) {
      throw new GitTooLarge(
        `${this.what} has more than ${maxFiles} files and directories (limit: --git-max-files)`,
      );
    }
    if (this.#size > maxSize) {
      throw new GitTooLarge(
        `${this.what} takes more than ${maxSize} bytes (limit: --git-max-size)`,
      );
    }
  }
}

/**
 * Counts what `git ls-tree -r -t -l -z` prints, `MODE TYPE HASH SIZE<TAB>PATH<NUL>` for each file
 * and directory, as it comes: a path can be longer than anything that should be kept.
 */
export class TreeCounter {
  /** What has been read of an entry up to its tab; undefined behind that. */
  #head: string | undefined = "";

  constructor(private readonly tally: Tally) {}

  /** Throws `GitTooLarge`. */
  readonly push = (data: Buffer): void => {
    for (let at = 0; at < data.length; ) {
      const end = data.indexOf(this.#head === undefined ? "\0" : "\t", at);
      const stop = end < 0 ? data.length : end;
      if (this.#head !== undefined) this.#head += data.toString("latin1", at, stop);
      at = stop + 1;
      if (end < 0) return;
      if (this.#head === undefined) {
        this.#head = "";
      } else {
        // Directories and submodules have `-` for a size.
        this.tally.add(Number(/\d+$/.exec(this.#head)?.[0] ?? 0));
        this.#head = undefined;
      }
    }
  };
}

/** How long to wait between two looks at what grows, in ms; longer when looking takes long. */
const INTERVAL = 1000;
const LOOKING_SHARE = 0.1;

/** A run of Git to be watched. */
export interface Watched {
  readonly label: string;
  readonly directory: string;
  readonly processes: GitProcesses;
  readonly limits: GitLimits;
  /**
   * Whether it fetches: then the first look is at once, as what is there may be too much already.
   */
  readonly fetches: boolean;
}

/**
 * Looks again and again at the directory and at what the processes take, until `signal` is aborted.
 * Throws `GitTooLarge`.
 */
export async function watchGit(
  { directory, fetches, label, limits, processes }: Watched,
  signal: AbortSignal,
): Promise<void> {
  const root = Buffer.from(directory).toString("latin1");
  for (let pause = fetches ? 0 : INTERVAL; ; ) {
    await sleep(pause, signal).catch(() => {});
    if (signal.aborted) return;
    const start = performance.now();
    await count(root, new Tally("The repository", limits), signal);
    const { memory, read } = await processes.usage();
    if (memory > MAX_MEMORY) {
      throw new GitTooLarge(
        `${label} was stopped: it takes more than ${MAX_MEMORY} bytes of memory`,
      );
    }
    if (read > MAX_READS * limits.maxSize) {
      const most = `${MAX_READS} times what --git-max-size allows`;
      throw new GitTooLarge(`${label} was stopped: it has read more than ${most}`);
    }
    pause = Math.max(INTERVAL, (performance.now() - start) / LOOKING_SHARE);
  }
}

/**
 * Counts all below a directory, of which parts may come and go meanwhile. Names are bytes, a
 * character each here.
 */
async function count(directory: string, tally: Tally, signal: AbortSignal): Promise<void> {
  const entries = await opendir(Buffer.from(directory, "latin1"), { encoding: "latin1" }).catch(
    () => undefined,
  );
  for await (const { name } of entries ?? []) {
    if (signal.aborted) return;
    const path = `${directory}/${name}`;
    const stats = await lstat(Buffer.from(path, "latin1")).catch(() => undefined);
    if (!stats) continue;
    tally.add(stats.isFile() ? stats.size : 0);
    if (stats.isDirectory()) await count(path, tally, signal);
  }
}
