/*
 * Files and directories that a COPY or ADD copies as they are. A spec differs from Docker in two
 * points.
 *
 * Of a directory, Docker copies the contents, a spec the directory itself, under the name of a
 * destination without a slash at its end. So a directory's destination loses its slash.
 *
 * A destination that is a directory by its name is made for files that go into it. Of a source of
 * which it is not known which of both it is, the destination has no slash, and is made before: then
 * either goes where Docker puts it.
 */

import { basename } from "node:path/posix";
import { chmodCommand } from "./chmod.js";
import { absolute, type CopyJob, isDirectoryByName, placed, placedSource } from "./copy-job.js";
import { oddModes, type Source } from "./copy-sources.js";
import { makeDirectories, owners } from "./shell-text.js";
import { PRIVATE_NAME } from "./stage.js";

type FileSource = Extract<Source, { is: "file" }>;

export function copyDirectory(path: string, job: CopyJob): void {
  const { stage, source, owner, dst, warn, mode } = job;
  const exclude = source.context.excludes(path, warn);
  // Commands at a stage's end may leave something there for others.
  if (source.help && /^[./]*$/.test(path)) exclude.push(PRIVATE_NAME);
  const odd = mode === undefined ? oddModes(source.context, path) : undefined;
  if (odd !== undefined) warnOfMode(odd, job);
  const src = placedSource(path, source);
  const to = destinationOfDirectory(src, placed(dst, stage));
  stage.copy({ from: source.from, src: [src], dst: to, exclude }, owner);
  stage.paths.add(dst, "dir");
  if (mode === undefined) return;
  const top = full(dst, job);
  const isLeftOut = (inner: string) => inner.split("/").some((name) => exclude.includes(name));
  const named = source.context
    .entries(path)
    ?.filter(({ path: inner, kind }) => inner !== "" && kind !== "symlink" && !isLeftOut(inner))
    .map(({ path: inner }) => `${top}/${inner}`);
  if (!named) {
    warn(`--chmod changes the modes of all that is in ${dst}, not only of what is copied`);
  }
  stage.help(named ? chmodCommand(mode, named) : chmodCommand(mode, { below: top }));
}

export function copyFiles(files: readonly FileSource[], job: CopyJob): void {
  for (const { path } of job.mode === undefined ? files : []) {
    const odd = oddModes(job.source.context, path);
    if (odd !== undefined) warnOfMode(odd, job);
  }
  if (files.every(({ isKnown }) => isKnown)) copyKnown(files, job);
  else for (const file of files) copyUnknown(file, job);
}

/** A file that keeps its name. */
export function isPlain(source: Source): source is FileSource {
  return source.is === "file" && basename(source.path) === source.name;
}

/** Files for sure: one if the destination is no directory by its name. */
function copyKnown(files: readonly FileSource[], job: CopyJob): void {
  const { stage, source, owner, dst, into, mode } = job;
  const [first] = files;
  const isDirectory = into || stage.paths.kindOf(dst) === "dir";
  let path = isDirectory ? withSlash(dst) : dst;
  // What a link points to is copied under the link's name.
  if (isDirectory && !isPlain(first!)) path += first!.name;
  const src = files.map((file) => placedSource(file.path, source));
  stage.copy({ from: source.from, src, dst: placed(path, stage), exclude: [] }, owner);
  if (isDirectory) {
    stage.paths.add(dst, "dir");
    for (const { name } of files) stage.paths.add(`${dst}/${name}`, "file");
  } else {
    stage.paths.add(dst, "file");
  }
  if (mode === undefined) return;
  const top = full(dst, job);
  const inside = files.map(({ name }) => `${top}/${name}`);
  stage.help(
    isDirectory ? chmodCommand(mode, inside) : chmodCommand(mode, { file: top, orIn: first!.name }),
  );
}

/** A file or a directory. */
function copyUnknown({ path, name }: FileSource, job: CopyJob): void {
  const { stage, source, owner, dst, into, mode } = job;
  const top = full(dst, job);
  if (into && !stage.paths.isMade(dst) && top !== "") {
    stage.help(makeDirectories(top, owners(owner)));
  }
  const bare = placed(dst, stage).replace(/(?<=[^/])\/+$/, "");
  // The top itself would take in a directory under its name.
  const to = isDirectoryByName(bare) ? `${withSlash(bare)}.` : bare;
  stage.copy({ from: source.from, src: [placedSource(path, source)], dst: to, exclude: [] }, owner);
  if (into) stage.paths.add(dst, "dir");
  if (mode !== undefined) stage.help(chmodCommand(mode, { file: `${top}/${name}`, orBelow: top }));
}

function full(dst: string, { stage }: CopyJob): string {
  return `${stage.root}${absolute(dst, stage)}`.replace(/\/$/, "");
}

function warnOfMode(odd: string, { warnOnce }: CopyJob): void {
  warnOnce(`${odd}, which Docker keeps; a spec makes it 644, or 755 for what can be executed`);
}

function withSlash(dst: string): string {
  return dst.endsWith("/") ? dst : `${dst}/`;
}

/** Where a directory's contents are to be: named without a slash at the end. */
function destinationOfDirectory(src: string, dst: string): string {
  // The top directory has no name that could get in the way.
  if (/^[./]*$/.test(src)) return isDirectoryByName(dst) ? withSlash(dst) : dst;
  const bare = dst.replace(/(?<=[^/])\/+$/, "");
  return isDirectoryByName(bare) ? `${withSlash(bare)}.` : bare;
}
