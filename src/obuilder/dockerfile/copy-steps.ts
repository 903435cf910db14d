/*
 * What COPY and ADD do and a spec's `copy` does not: commands of the spec's own do it.
 *
 * - A text from the Dockerfile is written by `cat`.
 * - An archive is copied, unpacked by the image's `tar`, and removed.
 * - A pattern in a stage is resolved at the stage's end, into a directory that is copied from.
 */

import { posix } from "node:path";
import { isRoot, isUnixUser } from "../spec/spec.js";
import { chmodCommand } from "./chmod.js";
import { copyDirectory } from "./copy-files.js";
import { absolute, type CopyJob, placed, placedSource } from "./copy-job.js";
import type { Source } from "./copy-sources.js";
import { shellPatterns } from "./glob.js";
import { makeDirectories, owners, shellWord, writeCommand } from "./shell-text.js";
import { PRIVATE_NAME } from "./stage.js";

export function copyText(
  { name, content }: Extract<Source, { is: "text" }>,
  { stage, owner, mode, dst, into }: CopyJob,
): void {
  const path = absolute(dst, stage);
  const full = `${stage.root}${path}`;
  const owned = isUnixUser(owner) && !isRoot(owner) ? [`chown ${owners(owner)} "$f"`] : [];
  const dir = into ? full : full.replace(/\/[^/]*$/, "");
  const lines = [
    "set -e; umask 022",
    ...(dir === "" ? [] : [makeDirectories(dir, owners(owner))]),
    into
      ? `f=${shellWord(`${full.replace(/\/$/, "")}/${name}`)}`
      : `f=${shellWord(full)}; [ ! -d "$f" ] || f=$f/${shellWord(name)}`,
    writeCommand(content, '"$f"'),
    ...owned,
    `chmod ${mode ?? "644"} "$f"`,
  ];
  stage.help(lines.join("\n"));
  if (into) stage.paths.add(`${path}/${name}`, "file");
  else if (stage.paths.kindOf(path) !== "dir") stage.paths.add(path, "file");
}

export function unpackArchive(
  { path, option }: Extract<Source, { is: "archive" }>,
  { stage, source, owner, dst }: CopyJob,
): void {
  const target = `${stage.root}${absolute(dst, stage)}`;
  stage.copy(
    { from: source.from, src: [placedSource(path, source)], dst: `/${PRIVATE_NAME}/`, exclude: [] },
    { uid: 0n, gid: 0n },
  );
  const archive = shellWord(`/${PRIVATE_NAME}/${posix.basename(path)}`);
  const tar = ["tar", ...(option === "" ? [] : [option]), "-xf"].join(" ");
  const lines = [
    "set -e",
    ...(target === "/" ? [] : [makeDirectories(target, owners(owner))]),
    // What the archive says of its top is not for a directory that is there.
    `was=$(stat -c '%a %u:%g' ${shellWord(target)})`,
    `${tar} ${archive} -C ${shellWord(target)}`,
    `chown "\${was#* }" ${shellWord(target)}; chmod "\${was% *}" ${shellWord(target)}`,
    `rm -r /${PRIVATE_NAME}`,
  ];
  stage.help(lines.join("\n"));
  stage.paths.add(dst, "dir");
}

export function copyPattern(pattern: string, job: CopyJob): void {
  const { stage, source, dst, into, mode, owner, warn } = job;
  const found = `/${PRIVATE_NAME}/${job.unusedName()}`;
  const words = shellPatterns(pattern.replace(/^\/+/, "")).join(" ");
  const find = [
    "set -e",
    `mkdir -p ${found}`,
    `cd ${shellWord(source.root || "/")}`,
    "set --",
    `for f in ${words}; do if [ -e "$f" ]; then set -- "$@" "$f"; fi; done`,
  ];
  if (into || stage.paths.kindOf(dst) === "dir") {
    const collect = `for f in "$@"; do if [ -d "$f" ]; then cp -a "$f/." ${found}/; else cp -aL "$f" ${found}/; fi; done`;
    source.help!([...find, collect].join("\n"));
    copyDirectory(`${found}/`, { ...job, source: { ...source, root: "" } });
    return;
  }
  // The destination is a file that one match becomes.
  const name = posix.basename(dst);
  const file = `${found}/${name}`;
  const check =
    '[ $# = 1 ] && [ -f "$1" ] || ' +
    `{ echo "${pattern.replace(/["$`\\]/g, "")} matches $# paths and not one file: $*" >&2; exit 1; }`;
  source.help!([...find, check, `cp -aL "$1" ${shellWord(file)}`].join("\n"));
  warn(`if ${dst} is a directory by then, what ${pattern} matches is called ${name} in there`);
  stage.copy({ from: source.from, src: [file], dst: placed(dst, stage), exclude: [] }, owner);
  stage.paths.add(dst, "file");
  if (mode !== undefined) {
    const top = `${stage.root}${absolute(dst, stage)}`;
    stage.help(chmodCommand(mode, { file: top, orIn: name }));
  }
}
