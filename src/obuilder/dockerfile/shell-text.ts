/*
 * Commands for `/bin/sh` that a spec has in place of what a Dockerfile says otherwise.
 */

import { isUnixUser, type User } from "../spec/spec.js";
import { InstructionError } from "./errors.js";

/** As `chown` has it. */
export function owners(user: User): string {
  if (isUnixUser(user)) return `${user.uid}:${user.gid}`;
  throw new InstructionError(`the user ${user.name} has no number`);
}

/** One word. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Writes a text to a file that a word names, which may have variables in it. */
export function writeCommand(content: string, fileWord: string): string {
  if (content === "") return `: > ${fileWord}`;
  let mark = "END";
  while (`\n${content}`.includes(`\n${mark}\n`)) mark += "_";
  return `cat > ${fileWord} <<'${mark}'\n${content}${mark}`;
}

/** Makes a directory and those above it that are missing, which then belong to `UID:GID`. */
export function makeDirectories(path: string, owner: string): string {
  if (owner === "0:0") return `mkdir -p ${shellWord(path)}`;
  const parts = path.split("/").filter((part) => part !== "");
  const paths = parts.map((_, i) => shellWord(`/${parts.slice(0, i + 1).join("/")}`));
  return `for d in ${paths.join(" ")}; do [ -d "$d" ] || { mkdir "$d" && chmod 755 "$d" && chown ${owner} "$d"; } || exit; done`;
}
