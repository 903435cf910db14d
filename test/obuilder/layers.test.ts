/*
 * Layers that are used while others are pruned, and steps that are shared by builds that come and
 * go.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { deferred } from "../../src/async/index.js";
import { LayerDatabase } from "../../src/obuilder/build/database.js";
import { type Fill, Layers } from "../../src/obuilder/build/layers.js";
import type { Fetcher } from "../../src/obuilder/contracts.js";
import { BuildCancelled, BuildError, SourceChanged } from "../../src/obuilder/errors.js";
import { BaseImages } from "../../src/obuilder/image/base-images.js";
import { DirectoryStore } from "../conformance/parts.js";
import { TextLog } from "../support/builder.js";

let dir: string;
let store: DirectoryStore;
let database: LayerDatabase;
let layers: Layers;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "obuilder-layers-"));
  store = await DirectoryStore.create(dir);
  database = new LayerDatabase(join(store.stateDir, "db.sqlite"));
  layers = new Layers(store, database);
});

afterEach(async () => {
  await layers.close();
  database.close();
  await rm(dir, { recursive: true });
});

const ANY_TIME = new Date("9999-01-01T00:00:00Z");
const DIGEST = `sha256:${"d".repeat(64)}`;
const nothing: Fill = async () => {};

const need = (id: string, base: string | undefined, fill: Fill, options: object = {}) =>
  layers.need({ id, ...(base ? { base } : {}), log: new TextLog(), ...options }, fill);

async function prune(limit = 100): Promise<string[]> {
  const removed: string[] = [];
  await layers.prune({ before: ANY_TIME, limit, onDelete: (id) => removed.push(id) });
  return removed;
}

describe("pruning", () => {
  it("takes leaves first, then what they were made from", async () => {
    await need("base", undefined, nothing);
    await need("a", "base", nothing);
    await need("b", "a", nothing);
    expect(await prune(1)).toEqual(["b"]);
    expect(await prune()).toEqual(["a", "base"]);
    expect(await store.list()).toEqual([]);
    expect(database.count()).toBe(0);
  });

  it("spares what a build between two steps stands on, and what a copy will read", async () => {
    await need("base", undefined, nothing);
    for (const id of ["standing", "source", "other"]) await need(id, "base", nothing);
    layers.pin("standing");
    layers.pin("source");
    expect(await prune()).toEqual(["other"]);
    layers.unpin("standing");
    expect(await prune()).toEqual(["standing"]);
  });

  it("spares the base of a step whose last user has left", async () => {
    await need("base", undefined, nothing);
    const [begun, end] = [deferred(), deferred()];
    const cancel = new AbortController();
    const step: Fill = () => {
      begun.resolve();
      return end.promise;
    };
    const leaving = need("step", "base", step, { signal: cancel.signal });
    await begun.promise;
    cancel.abort();
    await expect(leaving).rejects.toThrow(BuildCancelled);
    expect(await prune()).toEqual([]);
    end.resolve();
    await need("step", "base", nothing); // it ended well all the same
    expect(layers.stats).toEqual({ hits: 1, misses: 2 });
    expect(await prune()).toEqual(["step", "base"]);
  });

  it("lets whoever asks for a layer that is just being removed make it again", async () => {
    await need("base", undefined, nothing);
    const removed = layers.prune({ before: ANY_TIME, limit: 1 });
    layers.pin("base");
    await need("base", undefined, nothing);
    expect(await removed).toBe(1);
    expect(layers.stats).toEqual({ hits: 0, misses: 2 });
    expect((await store.list()).map(({ id }) => id)).toEqual(["base"]);
  });
});

describe("deleting", () => {
  it("takes all that was made from a layer, children first", async () => {
    await need("base", undefined, nothing);
    await need("a", "base", nothing);
    await need("b", "a", nothing);
    await need("c", "base", nothing);
    const removed: string[] = [];
    await layers.delete("base", (id) => removed.push(id));
    expect(removed).toEqual(["b", "a", "c", "base"]);
  });

  it("refuses what a build uses", async () => {
    await need("base", undefined, nothing);
    layers.pin("base");
    await expect(layers.delete("base")).rejects.toThrow(/in use by a running build/);
  });
});

describe("a step for several", () => {
  it("goes on with another's source when that of the first asker has gone", async () => {
    await need("base", undefined, nothing);
    const gone = deferred();
    const first = need("copy", "base", async () => {
      await gone.promise;
      throw new SourceChanged("removed");
    });
    const second = need("copy", "base", nothing);
    gone.resolve();
    await expect(first).rejects.toThrow("removed");
    await second;
  });

  it("fails for all who attached, and is tried anew for the next", async () => {
    const end = deferred();
    const fails: Fill = async () => {
      await end.promise;
      throw new BuildError("broken");
    };
    const askers = [need("x", undefined, fails), need("x", undefined, nothing)];
    end.resolve();
    for (const outcome of await Promise.allSettled(askers)) {
      expect(outcome).toMatchObject({ reason: new BuildError("broken") });
    }
    await need("x", undefined, nothing);
    expect(layers.stats).toEqual({ hits: 0, misses: 2 });
  });

  it("is not held up by one whose log does not get on", async () => {
    const stuck = deferred();
    const log = new TextLog();
    const slow = { heading() {}, note() {}, output: () => stuck.promise };
    const print: Fill = async (_layer, io) => {
      for (let n = 0; n < 100; n++) await io.log.write(Buffer.alloc(10_000, "x"));
    };
    const waiting = layers.need({ id: "x", log: slow }, print);
    await layers.need({ id: "x", log }, print);
    expect(log.text).toHaveLength(1_000_000);
    stuck.resolve();
    await waiting;
  });

  it("is imported to its end even if nobody waits any more, when it is a base image", async () => {
    const end = deferred();
    const cancel = new AbortController();
    const options = { signal: cancel.signal, uncancellable: true };
    const leaving = need("image", undefined, () => end.promise, options);
    cancel.abort();
    await expect(leaving).rejects.toThrow(BuildCancelled);
    const log = new TextLog();
    const attached = layers.need({ id: "image", log }, nothing);
    end.resolve();
    await attached;
    expect(log.lines).toEqual(['---> saved as "image"']);
  });

  it("is stopped when the builder is closed", async () => {
    const started = deferred();
    const untilStopped: Fill = (_layer, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new BuildCancelled()));
        started.resolve();
      });
    const build = need("x", undefined, untilStopped).catch((error: unknown) => error);
    await started.promise;
    await layers.close();
    expect(await build).toBeInstanceOf(BuildCancelled);
  });

  it("is not even begun when all have left while it was set up", async () => {
    const cancel = new AbortController();
    let begun = false;
    const begin: Fill = async () => {
      begun = true;
    };
    const leaving = need("x", undefined, begin, { signal: cancel.signal });
    cancel.abort();
    await expect(leaving).rejects.toThrow(BuildCancelled);
    await layers.close();
    expect(begun).toBe(false);
  });
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
