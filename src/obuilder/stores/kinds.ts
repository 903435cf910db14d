/*
 * The kinds of stores that there are. A new one is a file with a `Store` (contracts.ts) and a
 * `driver` (kind.ts) for it, and a line here: command lines, their help and their messages,
 * sandboxes and fetchers go by this list.
 */

import { ABSOLUTE_PATH, ANY_PATH, POOL, type StoreKind } from "./kind.js";

export { helpOf } from "./kind.js";

export const STORE_KINDS: readonly StoreKind[] = [
  { name: "overlayfs", place: ABSOLUTE_PATH, load: () => import("./overlayfs-store.js") },
  { name: "btrfs", place: ABSOLUTE_PATH, load: () => import("./btrfs-engine.js") },
  { name: "xfs", place: ABSOLUTE_PATH, load: () => import("./reflink-engine.js") },
  { name: "rsync", place: ABSOLUTE_PATH, load: () => import("./rsync-engine.js") },
  { name: "zfs", place: POOL, load: () => import("./zfs-store.js") },
  // Of these only, the reference takes a relative path too.
  { name: "docker", place: ANY_PATH, load: () => import("./docker-store.js") },
];
