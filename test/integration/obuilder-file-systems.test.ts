/*
 * Stores on file systems that they cannot be on, and on some that they can.
 */

import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StoreError } from "../../src/obuilder/errors.js";
import { ABSOLUTE_PATH, type StoreDriver } from "../../src/obuilder/stores/kind.js";
import { openStore, parseStoreSpec } from "../../src/obuilder/stores/open-store.js";
import { type DiskKind, LoopDisk } from "../support/loop-disk.js";

let dir: string;
const disks = new Map<DiskKind, LoopDisk>();

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "obuilder-file-systems-"));
  for (const kind of ["ext4", "tmpfs", "btrfs"] as const) {
    disks.set(kind, new LoopDisk(kind, join(dir, kind), "120M"));
  }
});

afterAll(() => {
  for (const disk of disks.values()) disk.remove();
  rmSync(dir, { recursive: true });
});

const openNamed = (name: string) => openStore(parseStoreSpec(name));

const pathOn = (disk: DiskKind, name: string) => join(disks.get(disk)!.path, name);

describe.each(["ext4", "tmpfs"] as const)("%s", (type) => {
  it.each([
    ["btrfs", "A btrfs store must be on btrfs"],
    ["xfs", "An xfs store needs reflinks"],
  ] as const)(
    "has no %s store: that is said at once, and nothing is left",
    async (kind, reason) => {
      const there = pathOn(type, `${kind}-there`);
      mkdirSync(there);
      const before = readdirSync(disks.get(type)!.path);
      for (const path of [there, pathOn(type, `${kind}-new/store`)]) {
        const error: unknown = await openNamed(`${kind}:${path}`).catch((error: unknown) => error);
        expect(error).toBeInstanceOf(StoreError);
        const { message } = error as StoreError;
        expect(message.startsWith(reason), message).toBe(true);
        expect(message).toContain(`"${path}" is on ${type}`);
        expect(message).toContain(`use overlayfs:${path}`);
      }
      expect(readdirSync(there)).toEqual([]);
      expect(readdirSync(disks.get(type)!.path)).toEqual(before);
    },
  );

  it("keeps what others put beside a store while it cannot be opened", async () => {
    const stores = pathOn(type, "stores");
    const refused = expect(openNamed(`btrfs:${join(stores, "refused")}`)).rejects.toThrow(
      StoreError,
    );
    const { close } = await openNamed(`overlayfs:${join(stores, "good")}`);
    await refused;
    expect(readdirSync(stores)).toEqual(["good"]);
    expect(readdirSync(join(stores, "good"))).toContain("state");
    await close();
    rmSync(stores, { recursive: true });
  });

  it("keeps a store that another process has made and used before it was locked", async () => {
    const path = pathOn(type, "used");
    const driver: StoreDriver = {
      open: async () => {
        mkdirSync(join(path, "state", "db"));
        throw new StoreError("The other process was quicker");
      },
      inspect: () => expect.unreachable(),
    };
    const kind = { name: "late", place: ABSOLUTE_PATH, load: async () => ({ driver }) };
    await expect(openStore({ kind, path })).rejects.toThrow(StoreError);
    expect(readdirSync(join(path, "state"))).toContain("db");
    rmSync(path, { recursive: true });
  });
});

it("btrfs has xfs stores, too, for it has reflinks", async () => {
  const { close } = await openNamed(`xfs:${pathOn("btrfs", "store")}`);
  await close();
  expect(readdirSync(pathOn("btrfs", "store/state"))).not.toContainEqual(
    expect.stringContaining("reflink"),
  );
});
