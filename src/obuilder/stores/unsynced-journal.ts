/*
 * Layers and caches that a power cut may still take the content of.
 *
 * A rename reaches the disk before the data of the files in it, half a minute before if nobody
 * asks: after a power cut there would be layers, complete by name, with empty files. To wait for
 * the disk at the end of each step would cost more than most steps. So what is renamed into place
 * is listed first, which the file system's journal keeps in order; every half minute, and when the
 * store is closed, the disk is waited for once, and what was listed before is listed no more. When
 * a store is opened by a kernel that is not the one of the list, power was cut, and what is on the
 * list is dropped.
 *
 *     unsynced/BOOT-RANDOM/NAME  a batch; BOOT is the kernel's boot id, NAME a layer's id or `cache-` and a cache's file name
 *     unsynced/done-RANDOM/      a batch that is on the disk; it leaves the list as a whole, as layers stand on each other
 */

import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { removeTree, run } from "../../system/index.js";
import type { LayerId } from "../contracts.js";
import { discard } from "./files.js";

/** How long a layer may be on the list, in ms. Linux itself writes what is older than that. */
const PATIENCE = 30_000;

export class Unsynced {
  readonly #dir: string;
  /** The directory that layers are listed in now; undefined if there is none yet. */
  #batch: Promise<string> | undefined;
  /** What is just being put in its place. */
  readonly #commits = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #syncing: Promise<void> = Promise.resolve();

  private constructor(stateDir: string) {
    this.#dir = join(stateDir, "unsynced");
  }

  /**
   * For the store in the directory `root`. Removes what was on the list when power was cut, by way
   * of `trash`.
   */
  static async open(root: string, trash: string): Promise<Unsynced> {
    const unsynced = new Unsynced(join(root, "state"));
    const drop = (name: string) => discard(join(root, placeOf(name)), trash);
    for (const batch of batchesIn(unsynced.#dir)) {
      if (batch.startsWith(bootId())) continue;
      const path = join(unsynced.#dir, batch);
      if (!batch.startsWith(DONE)) for (const name of await readdir(path)) await drop(name);
      await removeTree(path);
    }
    return unsynced;
  }

  /** Lists a layer by its id, and lets `commit` make it appear in its place. */
  layer(id: LayerId, commit: () => Promise<void>): Promise<void> {
    return this.#whileListed(id, commit);
  }

  /** The same for a cache by its file name, which may be there already. */
  cache(fileName: string, commit: () => Promise<void>): Promise<void> {
    return this.#whileListed(`${CACHE}${fileName}`, commit);
  }

  async #whileListed(name: string, commit: () => Promise<void>): Promise<void> {
    this.#batch ??= this.#newBatch();
    const work = this.#batch.then((batch) => writeFile(join(batch, name), "")).then(commit);
    this.#commits.add(work);
    this.#timer ??= setTimeout(() => this.#syncLater(), PATIENCE).unref();
    try {
      await work;
    } finally {
      this.#commits.delete(work);
    }
  }

  /** Waits for the disk, if there is anything on the list. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#syncing;
    if (batchesIn(this.#dir).length > 0) await this.#sync().catch(stayListed);
  }

  #syncLater(): void {
    this.#timer = undefined;
    // After the one before, if the disk takes so long: each ends with batches that no other looks
    // at.
    this.#syncing = this.#syncing.then(() => this.#sync()).catch(stayListed);
  }

  async #sync(): Promise<void> {
    const last = this.#batch;
    this.#batch = undefined; // what comes from now on may come too late for this time
    const earlier = batchesIn(this.#dir);
    await Promise.allSettled(this.#commits);
    const latest = last ? [basename(await last)] : [];
    await run(["sync", "-f", this.#dir]);
    const done: string[] = [];
    // The latest comes last, as its layers may stand on those of others.
    for (const batch of [...earlier.filter((name) => !latest.includes(name)), ...latest]) {
      const path = join(this.#dir, `${DONE}${batch.split("-").at(-1)}`);
      await rename(join(this.#dir, batch), path);
      done.push(path);
    }
    await removeTree(...done);
  }

  async #newBatch(): Promise<string> {
    try {
      await mkdir(this.#dir, { recursive: true });
      return await mkdtemp(join(this.#dir, `${bootId()}-`));
    } catch (error) {
      this.#batch = undefined;
      throw error;
    }
  }
}

/** What the disk could not be waited for. */
function stayListed(): void {}

const DONE = "done-";
const CACHE = "cache-";

function placeOf(name: string): string {
  return name.startsWith(CACHE) ? join("cache", name.slice(CACHE.length)) : join("result", name);
}

function batchesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Another one each time that a kernel starts. */
function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
}
