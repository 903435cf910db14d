/*
 * A store as the reference makes it: the same directories, files and rows from the same builds.
 */

import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readSpec } from "../../src/obuilder/index.js";
import { SQLite } from "../../src/system/sqlite.js";
import { TextLog, Workshop } from "../support/builder.js";
import { goldenJson } from "../support/golden.js";
import { type Listing, writeListing } from "../support/obuilder-cases.js";
import { busyboxRoot } from "../support/oci-layout.js";

interface GoldenStore {
  readonly specs: readonly string[];
  readonly image_env: readonly (readonly [string, string])[];
  readonly secrets: readonly (readonly [string, string])[];
  readonly source: Listing;
  readonly tree: readonly string[];
  readonly env_file: string;
  readonly schema: readonly string[];
  readonly builds: readonly { id: string; rc: number; parent: string | null }[];
}

const golden = goldenJson("obuilder/store.json") as GoldenStore;

let workshop: Workshop;

beforeAll(async () => {
  workshop = new Workshop();
  const env = golden.image_env.map(([key, value]) => `${key}=${value}`);
  workshop.image("debian", "13", rootWithIdleShell, env);
  writeListing(workshop.path("source"), golden.source);
  const builder = await workshop.open({
    store: `rsync:${workshop.path("store")}`,
    rsyncMode: "copy",
  });
  const secrets = golden.secrets.map(([id, value]) => [id, Buffer.from(value)] as const);
  for (const spec of golden.specs) {
    await builder.build({
      spec: readSpec(spec),
      sourceDir: workshop.path("source"),
      log: new TextLog(),
      secrets,
    });
  }
  await builder.close();
});

afterAll(() => workshop.remove());

/** A root whose shell does nothing, whatever it is told. */
function rootWithIdleShell(rootfs: string): void {
  busyboxRoot(rootfs);
  writeFileSync(join(rootfs, "bin/bash"), "#!/bin/sh\n");
  chmodSync(join(rootfs, "bin/bash"), 0o755);
}

it("has the reference's directories and files, and its own only in state/", () => {
  const found: string[] = [];
  const walk = (dir: string, depth: number) => {
    const entries = readdirSync(join(workshop.path("store"), dir), { withFileTypes: true });
    for (const entry of entries) {
      const path = `${dir}${entry.name}${entry.isDirectory() ? "/" : ""}`;
      found.push(path);
      if (entry.isDirectory() && depth > 0) walk(path, depth - 1);
    }
  };
  walk("", 2);
  const theirs = (path: string) => !path.startsWith("state/");
  expect(found.filter(theirs).sort()).toEqual(golden.tree.filter(theirs).sort());
  expect(found).toEqual(expect.arrayContaining([...golden.tree]));
});

it("has the image's variables in the same words", () => {
  const base = golden.builds.find(({ parent }) => parent === null)!.id;
  const path = join(workshop.path("store"), "result", base, "env");
  expect(readFileSync(path, "utf8")).toBe(golden.env_file);
});

it("has the same database", () => {
  const path = join(workshop.path("store"), "state/db/db.sqlite");
  const database = new SQLite(path, { readonly: true });
  try {
    const schema = database
      .prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
      .pluck()
      .all();
    expect(schema).toEqual(golden.schema);
    const rows = database.prepare("SELECT * FROM builds").all() as Record<string, unknown>[];
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    const expected = golden.builds.map((row) => ({ ...row, created: time, used: time }));
    const byId = (a: object, b: object) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
    expect(rows.sort(byId)).toEqual(expected.sort(byId));
  } finally {
    database.close();
  }
});
