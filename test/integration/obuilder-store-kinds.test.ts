/*
 * A kind of store that nobody has heard of: one record is all that it takes to be named, opened,
 * built in and looked after.
 */

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CloningStore } from "../../src/obuilder/stores/cloning-store.js";
import { examplesOf, helpOf, type StoreKind } from "../../src/obuilder/stores/kind.js";
import { STORE_KINDS } from "../../src/obuilder/stores/kinds.js";
import { inspectStore, openStore, parseStoreSpec } from "../../src/obuilder/stores/open-store.js";
import { plainDirectories } from "../../src/obuilder/stores/plain-directories.js";
import { run } from "../../src/system/index.js";
import { TextLog, Workshop } from "../support/builder.js";
import { run as runProgram } from "../support/programs.js";

let workshop: Workshop;

beforeAll(() => {
  workshop = new Workshop();
});

afterAll(() => workshop.remove());

const engine = {
  ...plainDirectories,
  check: async () => {},
  clone: async (source: string, target: string) => void (await run(["cp", "-a", source, target])),
  commit: rename,
};

/**
 * Shelves in a cabinet, `shelf:CABINET/NUMBER`; the store itself is in a drawer, and a cabinet is
 * bought at the shop.
 */
const shelf: StoreKind = {
  name: "shelf",
  place: {
    example: "CABINET/NUMBER",
    parse: (text) => (/^.+\/\d+$/.test(text) ? text : undefined),
  },
  load: async () => ({
    driver: {
      directory: drawerOf,
      prepare: async (place) => void mkdirSync(join(drawerOf(place), "state"), { recursive: true }),
      open: async (place) => ({ store: await CloningStore.open(drawerOf(place), engine) }),
      inspect: async (place) => ({ store: CloningStore.inspect(drawerOf(place), engine) }),
    },
  }),
};

function drawerOf(place: string): string {
  return join(dirname(place), `drawer-${basename(place)}`);
}

const kinds = [...STORE_KINDS, shelf];

it("is among the names that there are, and in their help", () => {
  expect(parseStoreSpec("shelf:/oak/7", kinds)).toEqual({ kind: shelf, path: "/oak/7" });
  expect(() => parseStoreSpec("shelf:oak", kinds)).toThrow(
    '"shelf:oak" is not a store; it must be overlayfs:/path, ',
  );
  expect(examplesOf(kinds)).toMatch(/, docker:\/path or shelf:CABINET\/NUMBER$/);
  expect(helpOf(kinds)).toBe(
    "zfs:POOL, or overlayfs:, btrfs:, xfs:, rsync:, docker: or shelf: and a path",
  );
  expect(() => parseStoreSpec("shelf:/oak/7")).toThrow(/is not a store/);
});

it("builds, and keeps what it has built", async () => {
  const store = `shelf:${workshop.path("7")}`;
  const ops = '(run (shell "echo told; echo kept > /file")) (run (shell "cat /file"))';
  const ids: string[] = [];
  for (const printed of ["told\nkept\n", "told\nkept\n"]) {
    const builder = await workshop.open({ store, storeKinds: kinds });
    const log = new TextLog();
    ids.push(await workshop.build(builder, ops, { log }));
    expect(log.text).toBe(printed);
    expect(log.lines.filter((line) => line.includes("from cache"))).toHaveLength(
      ids.length === 1 ? 0 : 3,
    );
    await builder.close();
  }
  expect(ids[1]).toBe(ids[0]);
  const { store: inspected } = await inspectStore(parseStoreSpec(store, kinds));
  const dir = await inspected.result(ids[0]!);
  expect(dir).toBe(join(workshop.path("drawer-7"), "result", ids[0]!));
  expect(readFileSync(join(dir!, "rootfs/file"), "utf8")).toBe("kept\n");

  const builder = await workshop.open({ store, storeKinds: kinds });
  expect(await builder.prune({ before: new Date("9999-12-31"), limit: 10 })).toBe(3);
  await builder.close();
  expect(await inspected.list()).toEqual([]);
});

it("is locked, missed where it must exist, and takes no options of others", async () => {
  const spec = parseStoreSpec(`shelf:${workshop.path("8")}`, kinds);
  await expect(openStore(spec, { existing: true })).rejects.toThrow(
    `There is no store shelf:${workshop.path("8")} yet`,
  );
  expect(existsSync(workshop.path("drawer-8"))).toBe(false);
  await expect(openStore(spec, { rsyncMode: "copy" })).rejects.toThrow(
    `--rsync-mode is for rsync stores; this one is shelf:${workshop.path("8")}`,
  );
  const { close } = await openStore(spec);
  await expect(openStore(spec)).rejects.toThrow(/The store is in use by process/);
  await close();
});

it("would be in the help of programs, which have that from the list", async () => {
  for (const [program, ...args] of [["obuilder", "build"], ["ocluster-worker"]] as const) {
    const { stdout } = await runProgram(program, [...args, "--help"]);
    expect(stdout).toContain(`  STORE    ${helpOf(STORE_KINDS)}\n`);
  }
});
