/*
 * When to stop pruning: a store is pruned layer by layer, the longest unused first, until there is
 * room. No more goes than has to: what stays need not be built again.
 */

import type { Builder } from "./build/builder.js";
import type { LayerId } from "./contracts.js";

/** What counts as room; both conditions must hold if both are given. */
export interface Room {
  /** At least that much free space, in per cent. */
  readonly freePercent?: number | undefined;
  /** At most that many layers. */
  readonly layers?: number | undefined;
}

export interface PruneUntilOptions {
  readonly room: Room;
  /** Only layers that were last used before this second. */
  readonly before: Date;
  /** The most layers to remove. Default: any number. */
  readonly limit?: number;
  /** Told of each layer before it is removed. */
  readonly onDelete?: (id: LayerId) => void;
  readonly signal?: AbortSignal;
}

export async function hasRoom(builder: Builder, { freePercent, layers }: Room): Promise<boolean> {
  if (layers !== undefined && builder.count() > layers) return false;
  return freePercent === undefined || (await builder.freePercent()) >= freePercent;
}

/**
 * Removes the longest unused layers until there is room, or nothing that can be removed; resolves
 * with their number.
 */
export async function pruneUntil(
  builder: Builder,
  { room, before, limit = Number.POSITIVE_INFINITY, onDelete, signal }: PruneUntilOptions,
): Promise<number> {
  let removed = 0;
  while (removed < limit && !signal?.aborted && !(await hasRoom(builder, room))) {
    // It is gone, and its space free, when this resolves.
    const now = await builder.prune({ before, limit: 1, ...(onDelete ? { onDelete } : {}) });
    if (now === 0) break;
    removed++;
  }
  return removed;
}
