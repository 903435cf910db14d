/** What is left of a client's contexts when the disk has lost some of them. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ContextShelf } from "../../src/scheduler/state/context-shelf.js";
import { type Files, manifestOf, sha256 } from "../support/context-files.js";

const LIMITS = { bytes: 1000, entries: 10 };

let directory: string;
let shelf: ContextShelf;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "ocluster-shelf-"));
  shelf = await ContextShelf.open(directory, (text) => expect.unreachable(text));
});

afterEach(async () => {
  await shelf.close();
  rmSync(directory, { recursive: true });
});

const blob = (hash: string): string => join(directory, "blobs", hash.slice(0, 2), hash);

/** Keeps a context. Returns its manifest's hash. */
async function kept(files: Files): Promise<string> {
  const manifest = manifestOf(files);
  for (const data of [...Object.values(files), manifest]) {
    await shelf.put(sha256(data), Buffer.from(data));
  }
  expect(await shelf.keep(sha256(manifest), LIMITS)).toEqual([]);
  return sha256(manifest);
}

it("a context whose manifest is damaged is dropped with all that nobody else has", async () => {
  const damaged = await kept({ a: "only here", both: "here and there" });
  const other = await kept({ both: "here and there" });
  writeFileSync(blob(damaged), "damaged");
  shelf.letGo();
  await shelf.drop(shelf.contexts.get(damaged)!);
  await shelf.clear();
  expect(existsSync(blob(sha256("only here")))).toBe(false);
  expect(existsSync(blob(damaged))).toBe(false);
  expect(existsSync(blob(sha256("here and there")))).toBe(true);
  shelf.letGo();
  await shelf.drop(shelf.contexts.get(other)!);
  await shelf.clear();
  expect(shelf.files).toBe(0);
});
