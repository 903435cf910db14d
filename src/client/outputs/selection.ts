/**
 * What of a list of files is wanted, under which names. The list comes from strangers: nothing gets
 * from here to a disk whose name could lead anywhere else than below the place that was chosen for
 * it.
 */
import type { OutputStream } from "../../api/index.js";
import { CommandFailed } from "../../console/index.js";
import { quoted } from "../../text/index.js";

export interface SelectedEntry {
  readonly entry: OutputStream.OutputEntry;
  /** Below the place; empty: the place itself. */
  readonly parts: readonly string[];
}

/** Something that was found: a file or link alone, or a directory with what is in it. */
export interface SelectedItem {
  /** Its name in the result, of what a pattern stands for the path from its first wildcard on. */
  readonly name: readonly string[];
  /** The first is the item itself. */
  readonly entries: readonly SelectedEntry[];
}

export interface Selection {
  readonly isPattern: boolean;
  readonly items: readonly SelectedItem[];
}

/**
 * What was found of something that was asked for, or of a path that is below such a thing. Throws a
 * `CommandFailed` if that was not asked for, or the names are not what names of files can be.
 */
export function select({ asked, entries }: OutputStream.OutputList, remote: string): Selection {
  const known = asked.find((one) => one.asked === remote);
  const index = new Map(entries.map((entry, at) => [entry.path, at]));
  if (known) {
    const items = known.found.map(([path, name]) => item(entries, index.get(path), name));
    checkTogether(items);
    return { isPattern: known.isPattern, items };
  }
  const path = remote.replace(/^\/+|\/+$/g, "");
  const at = index.get(path);
  if (at === undefined) throw new CommandFailed(`There is no ${quoted(remote)} among the files.`);
  return { isPattern: false, items: [item(entries, at, path.slice(path.lastIndexOf("/") + 1))] };
}

function item(
  entries: readonly OutputStream.OutputEntry[],
  at: number | undefined,
  name: string,
): SelectedItem {
  const top = at === undefined ? undefined : entries[at];
  if (at === undefined || !top) throw new CommandFailed(`${quoted(name)} is not in its own list.`);
  const selected: SelectedEntry[] = [{ entry: top, parts: [] }];
  const kinds = new Map<string, string>();
  if (top.type === "dir") {
    const prefix = top.path === "" ? "" : `${top.path}/`;
    for (const entry of entries) {
      if (entry === top || !entry.path.startsWith(prefix)) continue;
      const parts = checkedParts(entry.path.slice(prefix.length));
      checkPlace(kinds, parts, entry.type);
      selected.push({ entry, parts });
    }
  }
  return { name: name === "" ? [] : checkedParts(name), entries: selected };
}

function checkedParts(path: string): string[] {
  const parts = path.split("/");
  const isOdd = parts.some((p) => p === "" || p === "." || p === ".." || p.includes("\0"));
  if (isOdd || parts.length > 1000) {
    throw new CommandFailed(`${quoted(path)} is no name of a file: nothing of this is written.`);
  }
  return parts;
}

/** Each name once, and nothing below what is no directory. */
function checkPlace(kinds: Map<string, string>, parts: readonly string[], type: string): void {
  const path = parts.join("/");
  const isTwice = kinds.has(path);
  for (let n = 1; n < parts.length; n++) {
    const outer = parts.slice(0, n).join("/");
    const kind = kinds.get(outer);
    if (kind !== undefined && kind !== "dir") throw nested(path);
    kinds.set(outer, "dir");
  }
  if (isTwice && !(type === "dir" && kinds.get(path) === "dir")) throw nested(path);
  kinds.set(path, type);
}

/** No item is below what is no directory in another: each would be put where that leads. */
function checkTogether(items: readonly SelectedItem[]): void {
  if (items.length < 2) return;
  const leaves = new Set<string>();
  for (const { entries, name } of items) {
    for (const { entry, parts } of entries) {
      if (entry.type !== "dir") leaves.add([...name, ...parts].join("/"));
    }
  }
  for (const { name } of items) {
    let outer = "";
    for (const part of name.slice(0, -1)) {
      outer = outer === "" ? part : `${outer}/${part}`;
      if (leaves.has(outer)) throw nested(name.join("/"));
    }
  }
}

function nested(path: string): CommandFailed {
  return new CommandFailed(`${quoted(path)} is in a list twice, or below what is no directory.`);
}
