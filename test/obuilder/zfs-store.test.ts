/*
 * The zfs store, on a model of ZFS: which commands it gives, and that ZFS would take them.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Lease } from "../../src/obuilder/contracts.js";
import { CacheBusy } from "../../src/obuilder/errors.js";
import { ROOT } from "../../src/obuilder/spec/spec.js";
import { ZfsStore } from "../../src/obuilder/stores/zfs-store.js";
import { ZfsModel } from "../support/zfs-model.js";

const BASE = "b".repeat(64);
const LAYER = "1".repeat(64);
const NEXT = "2".repeat(64);

let dir: string;
let zfs: ZfsModel;
let store: ZfsStore;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "obuilder-zfs-"));
  zfs = new ZfsModel(dir, "tank");
  store = await opened();
  zfs.log.length = 0;
});

afterEach(() => rmSync(dir, { recursive: true }));

/** The store as a process finds it that opens it. */
async function opened(): Promise<ZfsStore> {
  const store = ZfsStore.inspect("tank", { runner: zfs.run, mountRoot: dir });
  await store.prepare();
  await store.purge();
  return store;
}

/** Makes a layer with a file that says who made it. */
async function make(id: string, base?: string): Promise<void> {
  await store.build(id, base, async ({ path }) => {
    writeFileSync(join(path, "log"), `log of ${id}`);
    writeFileSync(join(path, "rootfs", id), "");
  });
}

describe("a new store", () => {
  it("has a dataset for each kind of thing", async () => {
    expect(zfs.names()).toEqual([
      "tank",
      "tank/cache",
      "tank/cache-tmp",
      "tank/result",
      "tank/state",
    ]);
    expect(store.stateDir).toBe(join(dir, "tank/state"));
    expect(await store.freePercent()).toBe(75);
  });

  it("is opened again as it is, but for the copies of caches", async () => {
    await make(BASE);
    await (await store.cache("c", ROOT)).release();
    await store.cache("c", ROOT); // by a process that is killed
    zfs.log.length = 0;
    store = await opened();
    expect(zfs.log).toEqual(["destroy -R -f -- tank/cache-tmp", "create -- tank/cache-tmp"]);
    expect(await store.result(BASE)).toBeDefined();
  });

  it("of a pool that is mounted elsewhere is found there", () => {
    expect(ZfsStore.inspect("/mnt/tank").stateDir).toBe("/mnt/tank/state");
    expect(ZfsStore.inspect("tank").stateDir).toBe("/tank/state");
  });
});

describe("a pool", () => {
  it("that is not there is missed before anything is made", async () => {
    const opening = ZfsStore.inspect("nowhere", { runner: zfs.run, mountRoot: dir }).prepare();
    await expect(opening).rejects.toThrow(
      /^There is no ZFS pool "nowhere" \(.*does not exist\); make one .*, import it .*, or use /,
    );
    expect(zfs.log).toEqual([]);
    expect(existsSync(join(dir, "nowhere"))).toBe(false);
  });

  it("that is mounted elsewhere is not written beside", async () => {
    const opening = ZfsStore.inspect("tank", {
      runner: zfs.run,
      mountRoot: join(dir, "elsewhere"),
    }).prepare();
    await expect(opening).rejects.toThrow(
      `ZFS has mounted "tank/state" elsewhere than at "${join(dir, "elsewhere/tank/state")}"; use zfs:/DIR/tank`,
    );
    expect(existsSync(join(dir, "elsewhere"))).toBe(false);
  });
});

describe("layers", () => {
  it("are datasets, complete with their snapshots, and clones of each other", async () => {
    await make(BASE);
    await make(LAYER, BASE);
    expect(zfs.log).toEqual([
      `create -- tank/result/${BASE}`,
      `snapshot -r -- tank/result/${BASE}@snap`,
      `clone -- tank/result/${BASE}@snap tank/result/${LAYER}`,
      `snapshot -r -- tank/result/${LAYER}@snap`,
    ]);
    const path = await store.result(LAYER);
    expect(path).toBe(join(dir, "tank/result", LAYER, ".zfs/snapshot/snap"));
    expect(readFileSync(await store.logFile(LAYER), "utf8")).toBe(`log of ${LAYER}`);
    const root = await store.rootfs(LAYER);
    for (const id of [BASE, LAYER]) expect(existsSync(join(root.path, id))).toBe(true);
    await root.release();
    expect(await store.list()).toEqual([{ id: BASE }, { id: LAYER, parent: BASE }]);
    expect(await store.sizes([LAYER, BASE])).toEqual([4096, 4096]);
  });

  it("begin without their base's log", async () => {
    await make(BASE);
    await store.build(LAYER, BASE, async ({ path }) => {
      expect(existsSync(join(path, "log"))).toBe(false);
      expect(await store.logFile(LAYER)).toBe(join(path, "log"));
    });
  });

  it("that fail are destroyed", async () => {
    await make(BASE);
    zfs.log.length = 0;
    const failing = store.build(LAYER, BASE, () => Promise.reject(new Error("no")));
    await expect(failing).rejects.toThrow("no");
    expect(zfs.log.at(-1)).toBe(`destroy -r -f -- tank/result/${LAYER}`);
    expect(await store.result(LAYER)).toBeUndefined();
  });

  it("without a snapshot are junk, and destroyed before they are made again", async () => {
    await make(BASE);
    await zfs.run(["zfs", "clone", "--", `tank/result/${BASE}@snap`, `tank/result/${LAYER}`]);
    expect(await store.result(LAYER)).toBeUndefined();
    expect(await store.list()).toEqual([{ id: BASE }]);
    zfs.log.length = 0;
    await make(LAYER, BASE);
    expect(zfs.log[0]).toBe(`destroy -r -f -- tank/result/${LAYER}`);
    expect(await store.result(LAYER)).toBeDefined();
  });

  it("are destroyed with what a killed process cloned from them", async () => {
    await make(BASE);
    await make(LAYER, BASE);
    await zfs.run(["zfs", "clone", "--", `tank/result/${LAYER}@snap`, `tank/result/${NEXT}`]);
    zfs.log.length = 0;
    await store.delete(LAYER);
    await store.delete(LAYER); // nothing happens
    expect(zfs.log).toEqual([`destroy -R -f -- tank/result/${LAYER}`]);
    expect(await store.list()).toEqual([{ id: BASE }]);
  });
});

describe("caches", () => {
  /** Writes into a copy what it had before, and more. */
  function add(lease: Lease, text: string): void {
    const file = join(lease.path, "f");
    writeFileSync(file, (existsSync(file) ? readFileSync(file, "utf8") : "") + text);
  }

  async function content(): Promise<string> {
    const lease = await store.cache("c", ROOT);
    const file = join(lease.path, "f");
    const text = existsSync(file) ? readFileSync(file, "utf8") : "";
    await lease.release();
    return text;
  }

  it("are replaced by a copy: rename, promote, rename", async () => {
    const lease = await store.cache("c", ROOT);
    expect(zfs.log).toEqual([
      "create -- tank/cache/c-c",
      "snapshot -r -- tank/cache/c-c@snap",
      "clone -- tank/cache/c-c@snap tank/cache-tmp/0-c-c",
    ]);
    add(lease, "one");
    zfs.log.length = 0;
    await lease.release();
    expect(zfs.log).toEqual([
      "rename -- tank/cache/c-c tank/cache-tmp/old0-c-c",
      "promote tank/cache-tmp/0-c-c",
      "destroy -f -- tank/cache-tmp/old0-c-c",
      "rename -- tank/cache-tmp/0-c-c@snap tank/cache-tmp/0-c-c@old-0",
      "destroy -d -- tank/cache-tmp/0-c-c@old-0",
      "snapshot -r -- tank/cache-tmp/0-c-c@snap",
      "rename -- tank/cache-tmp/0-c-c tank/cache/c-c",
    ]);
    expect(zfs.names().filter((name) => name.includes("cache"))).toEqual([
      "tank/cache",
      "tank/cache-tmp",
      "tank/cache/c-c",
      "tank/cache/c-c@snap",
    ]);
    expect(await content()).toBe("one");
  });

  it("go to the first of several users; what the others hold stays until they release it", async () => {
    const [first, second, third] = [
      await store.cache("c", ROOT),
      await store.cache("c", ROOT),
      await store.cache("c", ROOT),
    ];
    add(second, "second");
    add(first, "first");
    await second.release();
    expect(zfs.names()).toContain("tank/cache/c-c@old-0"); // two are still clones of it
    zfs.log.length = 0;
    await first.release();
    expect(zfs.log).toEqual(["destroy -f -- tank/cache-tmp/0-c-c"]);
    expect(zfs.names()).toContain("tank/cache/c-c@old-0");
    await third.release();
    expect(zfs.names()).not.toContain("tank/cache/c-c@old-0");
    expect(await content()).toBe("second");
  });

  it("grow over many generations, and leave nothing", async () => {
    for (const text of ["a", "b", "c", "d"]) {
      const lease = await store.cache("c", ROOT);
      add(lease, text);
      await lease.release();
    }
    expect(await content()).toBe("abcd");
    expect(zfs.names().filter((name) => name.startsWith("tank/cache"))).toHaveLength(4);
  });

  it.each([0, 1, 2, 3, 4, 5, 6])(
    "begin empty when a process was killed %i commands into replacing one",
    async (commands) => {
      let left = Number.POSITIVE_INFINITY;
      const runner = async (argv: readonly string[]) => {
        if (argv[1] !== "list" && left-- <= 0) throw new Error("killed");
        return await zfs.run(argv);
      };
      const killed = ZfsStore.inspect("tank", { runner, mountRoot: dir });
      const lease = await killed.cache("c", ROOT);
      add(lease, "lost");
      left = commands;
      await expect(lease.release()).rejects.toThrow("killed");
      store = await opened();
      expect(await content()).toBe("");
    },
  );

  it("cannot be removed while they are in use", async () => {
    const lease = await store.cache("c", ROOT);
    await expect(store.deleteCache("c")).rejects.toThrow(CacheBusy);
    await lease.release();
    await store.deleteCache("c");
    expect(zfs.log.at(-1)).toBe("destroy -r -f -- tank/cache/c-c");
    await store.deleteCache("c");
    expect(await content()).toBe("");
  });

  it("have their names escaped", async () => {
    await store.cache("a/b", ROOT);
    expect(zfs.names()).toContain("tank/cache/c-a%2fb");
  });
});
