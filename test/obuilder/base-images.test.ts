/*
 * Builds that ask for the same base image at a time.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BaseImages } from "../../src/obuilder/base-images.js";
import type { Fetcher } from "../../src/obuilder/contracts.js";
import { LayerDatabase } from "../../src/obuilder/database.js";
import { Layers } from "../../src/obuilder/layers.js";
import { DirectoryStore } from "../conformance/parts.js";
import { TextLog } from "../support/builder.js";
import { deferred } from "../support/deferred.js";

const DIGEST = `sha256:${"d".repeat(64)}`;

let dir: string;
let store: DirectoryStore;
let database: LayerDatabase;
let layers: Layers;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "obuilder-base-images-"));
  store = await DirectoryStore.create(dir);
  database = new LayerDatabase(join(store.stateDir, "db.sqlite"));
  layers = new Layers(store, database);
});

afterEach(async () => {
  await layers.close();
  database.close();
  await rm(dir, { recursive: true });
});

describe("a registry that takes its time", () => {
  it("keeps nobody who has been cancelled waiting", async () => {
    const [asked, answer] = [deferred(), deferred<string>()];
    let questions = 0;
    const fetcher: Fetcher = {
      canFetch: async () => true,
      fetch: async () => ({ env: [], digest: DIGEST }),
      resolve: () => {
        questions++;
        asked.resolve();
        return answer.promise;
      },
    };
    const bases = new BaseImages({ store, layers, fetcher, refreshAfter: 0 });
    const get = (signal?: AbortSignal) =>
      bases.get("busybox", { log: new TextLog(), signal, pin: (id) => layers.pin(id) });
    await get(); // imports it, without a question
    const first = get();
    await asked.promise;
    const cancel = new AbortController();
    const second = get(cancel.signal);
    cancel.abort(new Error("left"));
    await expect(second).rejects.toThrow("left");
    answer.resolve(DIGEST);
    await first;
    expect(questions).toBe(1);
  });
});
