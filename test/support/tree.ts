/*
 * A directory tree as text, one line for each thing in it: names, types, modes, owners, contents,
 * links. Equal trees have equal text, whatever they are stored on.
 */

import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

export function describeTree(root: string): string {
  const lines: string[] = [];
  /** The first name of each file that has several. */
  const linked = new Map<number, string>();
  const visit = (path: string) => {
    const full = join(root, path);
    const stats = lstatSync(full);
    const about = [(stats.mode & 0o7777).toString(8), `${stats.uid}:${stats.gid}`, path || "."];
    if (stats.isSymbolicLink()) lines.push(`link ${about.join(" ")} -> ${readlinkSync(full)}`);
    else if (stats.isFile()) {
      const first = linked.get(stats.ino);
      if (stats.nlink > 1 && first === undefined) linked.set(stats.ino, path);
      const content = createHash("sha256").update(readFileSync(full)).digest("hex").slice(0, 16);
      const same = first === undefined ? "" : ` same as ${first}`;
      lines.push(`file ${about.join(" ")} ${stats.size} ${content}${same}`);
    } else if (stats.isDirectory()) {
      lines.push(`dir ${about.join(" ")}`);
      for (const name of readdirSync(full).sort()) visit(path === "" ? name : `${path}/${name}`);
    } else {
      lines.push(`other ${about.join(" ")} ${stats.mode & 0o170000} ${stats.rdev}`);
    }
  };
  visit("");
  return lines.join("\n");
}
