/*
 * The layers of a store, shared by all builds of this process: each is made once, whoever asks for
 * it.
 *
 * A layer that somebody asks for is
 *   1. in progress, wanted   → the asker attaches: gets the log from its beginning, then the same outcome;
 *   2. in progress, unwanted → all who asked have left, its step is being cancelled: the asker waits for its end,
 *                              then starts over, as the outcome may be either;
 *   3. being deleted         → the asker waits, then starts over;
 *   4. in the store          → a hit: the saved log is replayed;
 *   5. not there             → a miss: it is made, and goes through 1 (or 1, 2), and, if all goes well, to 4.
 * An asker leaves when its signal is aborted; the last one to leave a layer in progress cancels its
 * step. A step that ends well nevertheless is kept. Failures are not remembered.
 *
 * Pruning takes layers from 4, longest unused first, and spares those that have children or are
 * pinned: each build pins every layer from before it asks for it until its own end, and a step in
 * progress its base.
 */

import { deferred, unlessAborted } from "../../async/index.js";
import type { BuildLog, LayerDir, LayerId, LogSink, Store } from "../contracts.js";
import { BuildCancelled, BuildError, SourceChanged } from "../errors.js";
import type { LayerDatabase } from "./database.js";
import { cachedNote, savedNote, WAITING_NOTE } from "./headings.js";
import { fullDisk, isNoSpace, NoSpaceError } from "./no-space.js";
import { StepLog } from "./step-log.js";

/** A layer somebody needs. */
export interface LayerRequest {
  readonly id: LayerId;
  /** The layer it is made from; none for a base image. */
  readonly base?: LayerId;
  readonly log: BuildLog;
  /** Makes the asker leave. */
  readonly signal?: AbortSignal;
  /** Whether the step goes on when all who asked have left. */
  readonly uncancellable?: boolean;
  /**
   * Is shown the root of the step if that fails, as it was left. Nothing is removed before the
   * promise is fulfilled.
   */
  readonly onFailedRoot?: FailedRootReader | undefined;
}

/**
 * Reads what a failed step has left in its root; never rejects. Undefined: there is nothing to read
 * any more.
 */
export type FailedRootReader = (root: string | undefined) => Promise<void>;

/** What a step is given to fill its layer. */
export interface StepIo {
  readonly log: LogSink;
  readonly signal: AbortSignal;
}

/** Makes a layer's content. */
export type Fill = (layer: LayerDir, io: StepIo) => Promise<void>;

export interface PruneOptions {
  /** Only layers that were last used before this second. */
  readonly before: Date;
  /** The most layers to remove. */
  readonly limit: number;
  /** Told of each layer before it is removed. */
  readonly onDelete?: (id: LayerId) => void;
}

/** How many layers were found and how many had to be made. Those who attach count as neither. */
export interface CacheStats {
  readonly hits: number;
  readonly misses: number;
}

interface InProgress {
  users: number;
  readonly cancel: AbortController;
  /** Resolves as soon as it is known where the output goes; undefined if there is no output. */
  readonly log: Promise<StepLog | undefined>;
  readonly outcome: Promise<"found" | "made">;
  /** Of all askers that want to see what a failure leaves. */
  readonly readers: Set<FailedRootReader>;
}

export class Layers {
  readonly #store: Store;
  readonly #db: LayerDatabase;
  readonly #inProgress = new Map<LayerId, InProgress>();
  readonly #deleting = new Map<LayerId, Promise<void>>();
  readonly #pins = new Map<LayerId, number>();
  #hits = 0;
  #misses = 0;

  constructor(store: Store, db: LayerDatabase) {
    this.#store = store;
    this.#db = db;
  }

  /**
   * Resolves when the layer is in the store. Rejects with `BuildCancelled` as soon as the signal is
   * aborted, else with what `fill` rejects with. The asker must have pinned `id` and `base`.
   */
  async need(request: LayerRequest, fill: Fill): Promise<void> {
    const { id, log, signal } = request;
    for (;;) {
      if (signal?.aborted) throw new BuildCancelled();
      const deleting = this.#deleting.get(id);
      if (deleting) {
        await deleting;
        continue;
      }
      const existing = this.#inProgress.get(id);
      if (!existing) return await this.#follow(request, this.#begin(request, fill));
      if (existing.users > 0) {
        try {
          return await this.#follow(request, existing);
        } catch (error) {
          if (!(error instanceof SourceChanged)) throw error;
          continue; // that was the source of whoever asked first, who may have left and removed it
        }
      }
      log.note(WAITING_NOTE);
      await unlessAborted(existing.outcome.then(ignore, ignore), signal, cancelled);
    }
  }

  /** Keeps a layer, there already or still to come, from being pruned. */
  pin(id: LayerId): void {
    this.#pins.set(id, (this.#pins.get(id) ?? 0) + 1);
  }

  unpin(id: LayerId): void {
    const pins = this.#pins.get(id)! - 1;
    if (pins > 0) this.#pins.set(id, pins);
    else this.#pins.delete(id);
  }

  /**
   * Removes a layer and, first, all that were made from it. Ids are told before they go. One that
   * is not known is looked for on the disk anyway. Resolves with whether it was known. Rejects with
   * `BuildError` if a build uses one of them.
   */
  async delete(id: LayerId, onDelete: (id: LayerId) => void = ignore): Promise<boolean> {
    for (const child of this.#db.children(id)) await this.delete(child, onDelete);
    if (this.#pins.has(id)) throw new BuildError(`Layer ${id} is in use by a running build`);
    const known = this.#db.has(id);
    onDelete(id);
    await this.#remove(id);
    return known;
  }

  /**
   * Removes layers that have been unused for longest; resolves with their number. Passes over those
   * that cannot be removed; rejects with the error if there are no others.
   */
  async prune({ before, limit, onDelete = ignore }: PruneOptions): Promise<number> {
    let removed = 0;
    const stuck = new Map<LayerId, unknown>();
    while (removed < limit) {
      const id = this.#db.leastRecentlyUsed(
        before,
        (id) => this.#pins.has(id) || this.#deleting.has(id) || stuck.has(id),
      );
      if (id === undefined) break;
      onDelete(id);
      try {
        await this.#remove(id);
        removed++;
      } catch (error) {
        // Somebody else may use it. The others can go all the same.
        stuck.set(id, error);
      }
    }
    if (removed > 0) await this.#store.completeDeletes();
    else for (const error of stuck.values()) throw error;
    return removed;
  }

  get stats(): CacheStats {
    return { hits: this.#hits, misses: this.#misses };
  }

  /** Cancels all that is in progress and waits for its end. */
  async close(): Promise<void> {
    const running = [...this.#inProgress.values()];
    for (const { cancel } of running) cancel.abort();
    await Promise.allSettled([
      ...running.map(({ outcome }) => outcome),
      ...this.#deleting.values(),
    ]);
  }

  /** Gives the asker the log, the outcome and the note about it, unless it leaves. */
  async #follow(request: LayerRequest, layer: InProgress): Promise<void> {
    const { id, log, onFailedRoot, signal, uncancellable } = request;
    let following = !uncancellable;
    layer.users++;
    if (onFailedRoot) layer.readers.add(onFailedRoot);
    const leave = () => {
      if (!following) return;
      following = false;
      layer.users--;
      if (onFailedRoot) layer.readers.delete(onFailedRoot);
      if (layer.users === 0 && this.#inProgress.get(id) === layer) layer.cancel.abort();
    };
    signal?.addEventListener("abort", leave, { once: true });
    try {
      const outcome = await unlessAborted(followed(layer, log, signal), signal, cancelled);
      log.note(outcome === "found" ? cachedNote(id) : savedNote(id));
    } finally {
      signal?.removeEventListener("abort", leave);
      leave();
    }
  }

  #begin({ id, base }: LayerRequest, fill: Fill): InProgress {
    const cancel = new AbortController();
    const pinned = base === undefined ? [id] : [id, base];
    const readers = new Set<FailedRootReader>();
    for (const layer of pinned) this.pin(layer);
    const { promise: log, resolve: setLog } = deferred<StepLog | undefined>();
    const make = async () => {
      try {
        return await this.#findOrMake(id, base, cancel.signal, setLog, fill, readers);
      } finally {
        this.#inProgress.delete(id);
        for (const layer of pinned) this.unpin(layer);
        setLog(undefined); // in case it was not even tried
        await (await log)?.close();
      }
    };
    const outcome = make().catch(async (error: unknown) => {
      // What was filled shall be free again for whoever is told that. The log was in it.
      if (error instanceof NoSpaceError) await this.#store.completeDeletes();
      throw error;
    });
    outcome.catch(ignore); // the askers may all be gone
    const layer = { users: 0, cancel, log, outcome, readers };
    this.#inProgress.set(id, layer);
    return layer;
  }

  async #findOrMake(
    id: LayerId,
    base: LayerId | undefined,
    signal: AbortSignal,
    setLog: (log: StepLog | undefined) => void,
    fill: Fill,
    readers: ReadonlySet<FailedRootReader>,
  ): Promise<"found" | "made"> {
    if (await this.#store.result(id)) {
      this.#hits++;
      if (!this.#db.markUsed(id, new Date())) this.#db.add(id, base, new Date());
      setLog(await StepLog.saved(await this.#store.logFile(id)));
      return "found";
    }
    this.#misses++;
    if (this.#db.has(id)) await this.#forgetLost(id);
    await this.#make(id, base, async (layer) => {
      const log = await StepLog.create(await this.#store.logFile(id));
      setLog(log);
      try {
        if (signal.aborted) throw new BuildCancelled(); // all have left while the layer was set up
        await fill(layer, { log, signal });
      } catch (error) {
        if (error instanceof BuildError) await this.#showFailedRoot(layer, readers);
        throw error;
      } finally {
        log.finish();
      }
    });
    this.#db.add(id, base, new Date());
    return "made";
  }

  /** Has the store make a layer. Rejects with `NoSpaceError` if that is why it fails. */
  async #make(
    id: LayerId,
    base: LayerId | undefined,
    fill: (layer: LayerDir) => Promise<void>,
  ): Promise<void> {
    const { root, stateDir } = this.#store;
    let left: string | undefined;
    try {
      await this.#store.build(id, base, async (layer) => {
        try {
          await fill(layer);
        } catch (error) {
          // To be looked at now: the store is about to remove what the step has written.
          const other = error instanceof BuildCancelled || error instanceof SourceChanged;
          if (!other) left = fullDisk(stateDir);
          throw error;
        }
      });
    } catch (error) {
      if (left === undefined && !isNoSpace(error, stateDir)) throw error;
      throw new NoSpaceError((error as Error).message, root, left);
    }
  }

  /** Those who come meanwhile get to see it, too. */
  async #showFailedRoot(layer: LayerDir, readers: ReadonlySet<FailedRootReader>): Promise<void> {
    if (readers.size === 0) return;
    const view = await this.#store.failedRoot(layer);
    try {
      for (const read of readers) await read(view?.path);
    } finally {
      await view?.release();
    }
  }

  /** One known layer is gone from the store without our doing, so others may be, too. */
  async #forgetLost(id: LayerId): Promise<void> {
    this.#db.delete(id);
    const there = new Set((await this.#store.list()).map((layer) => layer.id));
    for (const row of this.#db.rows()) {
      // One that is being made or was made meanwhile is pinned.
      if (!there.has(row.id) && !this.#pins.has(row.id)) this.#db.delete(row.id);
    }
  }

  async #remove(id: LayerId): Promise<void> {
    const removal = this.#store.delete(id).then(() => this.#db.delete(id));
    const settled = removal.then(ignore, ignore).then(() => {
      this.#deleting.delete(id);
    });
    this.#deleting.set(id, settled);
    await removal;
  }
}

/** The layer's log to its end, then its outcome. */
async function followed(
  layer: InProgress,
  log: BuildLog,
  signal: AbortSignal | undefined,
): Promise<"found" | "made"> {
  const stepLog = await layer.log;
  await stepLog?.tail((data) => log.output(data), signal);
  return await layer.outcome;
}

function cancelled(): BuildCancelled {
  return new BuildCancelled();
}

function ignore(): void {}
