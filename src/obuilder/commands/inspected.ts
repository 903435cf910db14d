/*
 * A store that is looked at, and not changed.
 */

import type { StoreParts } from "../stores/kind.js";
import { inspectStore, parseStoreSpec } from "../stores/open-store.js";

/** Opens the store for as long as `use` runs. */
export async function withInspected(
  text: string,
  use: (parts: StoreParts) => Promise<void>,
): Promise<void> {
  const parts = await inspectStore(parseStoreSpec(text));
  try {
    await use(parts);
  } finally {
    await parts.store.close();
  }
}
