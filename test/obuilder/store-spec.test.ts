/*
 * Names of stores, and who may have one.
 */

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStore, parseStoreSpec } from "../../src/obuilder/stores/open-store.js";
import { lockStore } from "../../src/obuilder/stores/store-lock.js";
import { chooseLibrary } from "../../src/system/sqlite.js";

/** The name of the library that works in this Node. */
function sqlite(): string {
  const require = createRequire(import.meta.url);
  let last = "";
  const remember = (name: string) => {
    last = name;
    return require(name);
  };
  chooseLibrary(remember, Number(process.versions.napi));
  return last;
}

describe("names", () => {
  it.each([
    ["overlayfs:/a", "overlayfs", "/a"],
    ["rsync:/a//b/", "rsync", "/a/b"],
    ["btrfs:/a/../b", "btrfs", "/b"],
    ["xfs:/", "xfs", "/"],
    ["docker:/a:b", "docker", "/a:b"],
    ["docker:a/", "docker", join(process.cwd(), "a")],
    ["zfs:tank", "zfs", "tank"],
  ])("%s", (text, kind, path) => {
    expect(parseStoreSpec(text)).toMatchObject({ kind: { name: kind }, path });
  });

  it.each([
    "",
    "overlayfs",
    "overlayfs:",
    "overlayfs:a",
    "rsync:./a",
    "docker:",
    "zfs:",
    "ext4:/a",
    ":/a",
  ])("%j is none", (text) => {
    expect(() => parseStoreSpec(text)).toThrow(/is not a store; it must be overlayfs:\/path/);
  });

  it.each(["qemu:/a", "hcs:/a"])("%s is not built", (text) => {
    expect(() => parseStoreSpec(text)).toThrow(/are not built into this program; use overlayfs/);
  });
});

describe("an rsync store", () => {
  it("needs a mode, and no other store may have one", async () => {
    await expect(openStore(parseStoreSpec("rsync:/nowhere"))).rejects.toThrow(/--rsync-mode/);
    await expect(openStore(parseStoreSpec("xfs:/nowhere"), { rsyncMode: "copy" })).rejects.toThrow(
      /--rsync-mode is for rsync stores/,
    );
  });
});

describe("the lock", () => {
  let dir: string;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "obuilder-lock-"));
  });

  afterEach(() => rmSync(dir, { recursive: true }));

  it("names the process that has it, and is free again when that lets go", async () => {
    const unlock = await lockStore(dir);
    await expect(lockStore(dir)).rejects.toThrow(`in use by process ${process.pid}`);
    unlock();
    (await lockStore(dir))();
  });

  it("does not outlive a killed process", async () => {
    const script = `
      const Database = require(process.argv[2]);
      const db = new Database(process.argv[1]);
      db.exec("BEGIN EXCLUSIVE");
      console.log("locked");
      setInterval(() => db.open, 1000);`;
    const child = spawn(process.execPath, ["-e", script, join(dir, "lock.sqlite"), sqlite()], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout!, "data");
    await expect(lockStore(dir)).rejects.toThrow(/in use by another process/);
    child.kill("SIGKILL");
    await once(child, "close");
    (await lockStore(dir))();
  });

  it("is kept from programs that we start", async () => {
    const unlock = await lockStore(dir);
    const open = execFileSync("ls", ["-l", "/proc/self/fd"], { encoding: "utf8" });
    expect(open).not.toContain(dir);
    unlock();
  });
});
