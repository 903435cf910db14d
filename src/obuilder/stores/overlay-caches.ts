/*
 * The caches of an overlayfs store. A user's copy is an overlay on the cache; when it is released,
 * what the user changed is carried over into the cache.
 *
 * If nobody else has released since the copy was taken, the cache becomes what the user saw. Else
 * both users' changes are kept: of two versions of a file the newer one, and what either of them
 * removed stays. A cache that others have mounted is not changed under them: a copy of it (of
 * links) is, and takes its place.
 */

import type { Dirent } from "node:fs";
import { chmod, chown, lstat, mkdir, readdir, rename, rm, unlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { mountOverlay, removeTree, run, unmount, VOLATILE } from "../../system/index.js";
import type { Lease } from "../contracts.js";
import { CacheBusy } from "../errors.js";
import type { UnixUser } from "../spec/spec.js";
import { plainCacheName } from "./cache-name.js";
import { type CacheState, CacheStates } from "./cache-states.js";
import { discard, isDirectory, owner } from "./files.js";
import { pathTooLong } from "./long-paths.js";
import type { Unsynced } from "./unsynced-journal.js";

/** Caches belong to their first user, but any other may write as well. */
const MODE = 0o1777;

// The upper directory is read by `carryOver`, so it must hold whole files under their own names.
const OPTIONS = `redirect_dir=off,metacopy=off,${VOLATILE}`;

export class OverlayCaches {
  readonly #root: string;
  /** None where a store is only looked at. */
  readonly #unsynced: Unsynced | undefined;
  readonly #states = new CacheStates();
  #next = 0;

  constructor(root: string, unsynced: Unsynced | undefined) {
    this.#root = root;
    this.#unsynced = unsynced;
  }

  take(name: string, user: UnixUser): Promise<Lease> {
    const state = this.#states.of(name);
    return state.lock.run(async () => {
      const fileName = plainCacheName(name);
      const cache = join(this.#root, "cache", fileName);
      const copy = `${fileName}-${this.#next++}`;
      const upper = join(this.#root, "cache-result", copy);
      const work = join(this.#root, "cache-work", copy);
      const merged = join(this.#root, "cache-merged", copy);
      if (!(await isDirectory(cache))) await makeDir(cache, user);
      for (const dir of [upper, work, merged]) await makeDir(dir, user);
      const dirs = `lowerdir=../cache/${fileName},upperdir=../cache-result/${copy},workdir=../cache-work/${copy}`;
      await mountOverlay({
        cwd: join(this.#root, "cache"),
        options: `${dirs},${OPTIONS}`,
        target: merged,
      });
      state.users++;
      const { generation } = state;
      const release = () =>
        state.lock.run(async () => {
          state.users--;
          const alone = state.generation === generation;
          const removed = await this.#unmount(alone, { cache, upper, merged });
          const next = `${upper}.next`;
          const merge = () => this.#merge({ upper, cache, next }, removed, { state, alone });
          try {
            // What could not be merged with the next user's stays out of the cache.
            if ((await pathTooLong(upper)) !== undefined) return;
            await this.#unsynced!.cache(fileName, merge);
          } finally {
            await removeTree(upper, work, merged, next);
          }
        });
      return { path: merged, release };
    });
  }

  delete(name: string): Promise<void> {
    const state = this.#states.of(name);
    return state.lock.run(async () => {
      if (state.users > 0) throw new CacheBusy(name);
      await discard(join(this.#root, "cache", plainCacheName(name)), this.#trash);
    });
  }

  /**
   * Ends a user's view. Gives what the user has removed from the cache; nothing of that counts if
   * others had changed it.
   */
  async #unmount(
    alone: boolean,
    { cache, upper, merged }: { cache: string; upper: string; merged: string },
  ): Promise<Buffer[]> {
    try {
      return alone ? await findRemoved(buffer(upper), buffer(merged), buffer(cache)) : [];
    } finally {
      await unmount(merged);
    }
  }

  /** `next` is a place for a copy of the cache. */
  async #merge(
    { upper, cache, next }: { upper: string; cache: string; next: string },
    removed: readonly Buffer[],
    { state, alone }: { state: CacheState; alone: boolean },
  ): Promise<void> {
    state.generation++;
    if (state.users === 0) {
      await carryOver(buffer(upper), buffer(cache), removed, alone);
      return;
    }
    await run(["cp", "-al", "--", cache, next]);
    const moved = removed.map((path) => relocated(path, cache, next));
    await carryOver(buffer(upper), buffer(next), moved, alone);
    await discard(cache, this.#trash);
    await rename(next, cache);
  }

  get #trash(): string {
    return join(this.#root, "cache-result");
  }
}

async function makeDir(path: string, user: UnixUser): Promise<void> {
  await mkdir(path);
  await chmod(path, MODE);
  await chown(path, ...owner(user));
}

/**
 * What the cache has and the user's view of it has not, in the directories that the user changed.
 */
async function findRemoved(upper: Buffer, merged: Buffer, cache: Buffer): Promise<Buffer[]> {
  const removed: Buffer[] = [];
  const visible = new Set((await entries(merged)).map((entry) => entry.name.toString("latin1")));
  const cached = new Map(
    (await entries(cache)).map((entry) => [entry.name.toString("latin1"), entry]),
  );
  for (const [name, entry] of cached) {
    if (!visible.has(name)) removed.push(child(cache, entry.name));
  }
  for (const entry of await entries(upper)) {
    const known = cached.get(entry.name.toString("latin1"));
    if (!entry.isDirectory() || !known?.isDirectory()) continue;
    const paths = [upper, merged, cache].map((dir) => child(dir, entry.name));
    removed.push(...(await findRemoved(paths[0]!, paths[1]!, paths[2]!)));
  }
  return removed;
}

/** Moves what the user wrote into the cache. */
async function carryOver(
  upper: Buffer,
  cache: Buffer,
  removed: readonly Buffer[],
  alone: boolean,
): Promise<void> {
  for (const path of removed) await rm(path, { recursive: true, force: true });
  for (const entry of await entries(upper)) {
    const from = child(upper, entry.name);
    const to = child(cache, entry.name);
    if (entry.isCharacterDevice() && (await lstat(from)).rdev === 0) continue; // "removed", in overlayfs's way
    const old = await lstat(to).catch(() => undefined);
    if (entry.isDirectory() && old?.isDirectory()) {
      await carryOver(from, to, [], alone);
      continue;
    }
    if (old && !alone && old.mtimeMs > (await lstat(from)).mtimeMs) continue;
    if (old?.isDirectory()) await rm(to, { recursive: true, force: true });
    else if (old && entry.isDirectory()) await unlink(to);
    await rename(from, to);
  }
  const { mode, uid, gid, atime, mtime } = await lstat(upper);
  await chown(cache, uid, gid);
  await chmod(cache, mode & 0o7777);
  await utimes(cache, atime, mtime);
}

// Names in caches are bytes, and nobody promises that they are UTF-8.

function buffer(path: string): Buffer {
  return Buffer.from(path);
}

function child(dir: Buffer, name: Buffer): Buffer {
  return Buffer.concat([dir, buffer("/"), name]);
}

function relocated(path: Buffer, from: string, to: string): Buffer {
  return Buffer.concat([buffer(to), path.subarray(Buffer.byteLength(from))]);
}

async function entries(dir: Buffer): Promise<Dirent<Buffer>[]> {
  return await readdir(dir, { withFileTypes: true, encoding: "buffer" });
}
