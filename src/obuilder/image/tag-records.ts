/*
 * What is known of the tags of base images: a small file for each, beside the database.
 */

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { baseKey } from "../build/layer-ids.js";

export interface TagRecord {
  /** The tag's digest when it was imported or looked up last. */
  readonly digest: string;
  /**
   * The name whose hash is the layer's id: the tag's own, or since it has changed, with its digest.
   */
  readonly name: string;
  /** When that was found to be the latest, ISO 8601. */
  readonly checked: string;
}

export class TagRecords {
  readonly #dir: string;

  constructor(stateDir: string) {
    this.#dir = join(stateDir, "base-images");
  }

  async get(image: string): Promise<TagRecord | undefined> {
    try {
      return JSON.parse(await readFile(this.#path(image), "utf8")) as TagRecord;
    } catch {
      return undefined; // none, or cut off by a crash: it can be found out again
    }
  }

  async put(image: string, record: TagRecord): Promise<void> {
    await mkdir(this.#dir, { recursive: true });
    const path = this.#path(image);
    await writeFile(`${path}.new`, JSON.stringify(record));
    await rename(`${path}.new`, path);
  }

  #path(image: string): string {
    return join(this.#dir, `${baseKey(image).id}.json`);
  }
}
