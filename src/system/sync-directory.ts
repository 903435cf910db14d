import { open } from "node:fs/promises";

/**
 * Has the names in a directory on disk: files made, renamed or removed there. Rejects with the
 * system's error.
 */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
