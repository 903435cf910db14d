/*
 * When to stop pruning: a store is pruned batch by batch until there is room.
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
  /** Layers to remove before free space is looked at again. */
  readonly batch: number;
  /** Only layers that were last used before this second. */
  readonly before: Date;
  /** Told of each layer before it is removed. */
  readonly onDelete?: (id: LayerId) => void;
  readonly signal?: AbortSignal;
}

export async function hasRoom(builder: Builder, { freePercent, layers }: Room): Promise<boolean> {
  if (layers !== undefined && builder.count() > layers) return false;
  return freePercent === undefined || (await builder.freePercent()) >= freePercent;
}

/** Removes the longest unused layers until there is room, or nothing that can be removed; resolves with their number. */
export async function pruneUntil(
  builder: Builder,
  { room, batch, before, onDelete, signal }: PruneUntilOptions,
): Promise<number> {
  let removed = 0;
  while (!signal?.aborted && !(await hasRoom(builder, room))) {
    // For their number alone, not one more than needed.
    const surplus = room.freePercent === undefined ? builder.count() - room.layers! : batch;
    const limit = Math.min(batch, surplus);
    const now = await builder.prune({ before, limit, ...(onDelete ? { onDelete } : {}) });
    removed += now;
    if (now < limit) break;
  }
  return removed;
}
