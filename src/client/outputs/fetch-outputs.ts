/**
 * Fetches files of a job's result from the scheduler, and puts them where they are wanted: whole,
 * or not at all.
 *
 * For each thing that is wanted: *selected* from the list; *coming*, into a directory aside;
 * *whole*, and checked; *there*, by being renamed to its place. It may be interrupted at any point
 * and gone on with, by another connection or another process.
 */
import {
  chmodSync,
  createReadStream,
  lstatSync,
  mkdirSync,
  renameSync,
  statfsSync,
  utimesSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { CommandFailed } from "../../console/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import { syncDirectory, syncTree } from "../../system/index.js";
import { exactSize, quoted, toBytes } from "../../text/index.js";
import { packArchive } from "./archive.js";
import { makeAside, removeAside } from "./aside.js";
import { Download, type PlacedEntry } from "./download.js";
import { inTheWay } from "./local-check.js";
import { OutputSource } from "./output-source.js";
import type { LocalTarget, OutputSpec } from "./output-spec.js";
import { type SelectedItem, type Selection, select } from "./selection.js";

/** What has been put somewhere. */
export interface Fetched {
  readonly remote: string;
  /** Where it is; "-" for standard output. */
  readonly local: string;
  /** Files and links, and the bytes of files. */
  readonly files: number;
  readonly size: number;
}

export interface FetchOptions {
  readonly job: number;
  /** 0: the newest of which files are kept. */
  readonly attempt?: number;
  /** Those without a place are left where they are. */
  readonly outputs: readonly OutputSpec[];
}

/** A fetch on its way. */
export class OutputFetch {
  readonly #options: FetchOptions;
  readonly #fetched: Fetched[] = [];
  #source: OutputSource | undefined;
  #current: TargetFetch | undefined;

  constructor(options: FetchOptions) {
    this.#options = options;
  }

  /**
   * Fetches what is left, and resolves to all that was put somewhere. Rejects with an `RpcError`
   * when the scheduler is lost: it may be called again with another connection then. Rejects with
   * `CommandFailed`.
   */
  async run(records: Capability): Promise<readonly Fetched[]> {
    const { attempt, job, outputs } = this.#options;
    const wanted = outputs.filter(({ local }) => local !== null);
    try {
      this.#source ??= await OutputSource.open(records, job, attempt);
      while (this.#fetched.length < wanted.length) {
        const { local, remote } = wanted[this.#fetched.length]!;
        this.#current ??= new TargetFetch(this.#source, remote, local!);
        this.#fetched.push(await this.#current.run(records));
        this.#current = undefined;
      }
      return this.#fetched;
    } catch (error) {
      if (error instanceof RpcError) throw error;
      this.#current?.abandon();
      throw inWords(error);
    }
  }
}

/** One thing on its way to its place. */
class TargetFetch {
  readonly #selection: Selection;
  readonly #aside: string;
  readonly #download: Download;
  readonly #placed: readonly (readonly PlacedEntry[])[];

  constructor(
    private readonly source: OutputSource,
    private readonly remote: string,
    private readonly local: LocalTarget,
  ) {
    this.#selection = select(source.list, remote);
    checkSelection(this.#selection, remote, local);
    const { items } = this.#selection;
    const isInside =
      (local.kind === "into" || local.kind === "under") &&
      items.every((item) => placeOf(local, item, this.#selection) !== trimmed(local.path));
    this.#aside = makeAside(local, `${source.job}-${source.attempt}`, isInside);
    this.#placed = this.#selection.items.map(({ entries }, index) =>
      entries.map(({ entry, parts }) => ({
        entry,
        path: [this.#aside, String(index), ...parts].join("/"),
      })),
    );
    this.#download = new Download(this.#placed.flat());
    checkSpace(this.#aside, this.#download.size + this.#archiveSize, local);
  }

  /** Bytes that an archive takes at least, beside what it is made of: holes are zeros in it. */
  get #archiveSize(): number {
    if (this.local.kind !== "archive") return 0;
    const size = sizeOf(this.#placed.flat().filter(({ entry }) => !isAgain(entry)));
    return this.local.gzip ? Math.ceil(size / MOST_DEFLATED) : size;
  }

  async run(records: Capability): Promise<Fetched> {
    await this.#download.run(this.source, records);
    await this.#put();
    removeAside(this.#aside);
    const files = this.#placed.flat().filter(({ entry }) => entry.type !== "dir");
    const size = sizeOf(files);
    const local = this.local.kind === "stdout" ? "-" : this.local.path;
    return { remote: this.remote, local, files: files.length, size };
  }

  /** It has failed, and not for want of a connection. */
  abandon(): void {
    this.#download.close();
    removeAside(this.#aside);
  }

  async #put(): Promise<void> {
    const { local } = this;
    if (local.kind === "stdout") return await this.#print();
    if (local.kind === "archive") return await this.#pack(local);
    // A power cut must not leave names behind of what was not on disk yet.
    const made = this.#placed.flat().filter(({ entry }) => entry.type !== "link");
    await syncTree(
      made.map(({ path }) => toBytes(path)),
      this.#aside,
    );
    const parents = new Set<string>();
    for (const [index, item] of this.#selection.items.entries()) {
      const place = placeOf(local, item, this.#selection);
      makeParents(trimmed(local.path), place);
      this.#place(this.#placed[index]!, place);
      parents.add(dirname(place));
    }
    for (const parent of parents) await syncDirectory(parent);
  }

  /** Directories get their times and modes, the outermost last: some then cannot be written to. */
  #place(entries: readonly PlacedEntry[], place: string): void {
    const [top] = entries;
    if (!top) return;
    for (const { entry, path } of entries.slice(1).reverse()) settle(entry, path);
    try {
      renameSync(toBytes(top.path), toBytes(place));
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      throw IN_THE_WAY.has(code) ? inTheWay(place) : error;
    }
    settle(top.entry, place);
  }

  async #print(): Promise<void> {
    const { path } = this.#placed[0]![0]!;
    for await (const data of createReadStream(toBytes(path))) {
      if (process.stdout.write(data)) continue;
      await new Promise((resolve) => process.stdout.once("drain", resolve));
    }
  }

  async #pack({ gzip, path: place }: LocalTarget & { readonly kind: "archive" }): Promise<void> {
    const packed = this.#selection.items.flatMap(({ entries, name }, index) =>
      entries.map(({ entry, parts }, at) => ({
        entry,
        path: this.#placed[index]![at]!.path,
        name: [...(name.length > 0 ? name : ["."]), ...parts].join("/"),
      })),
    );
    const archive = join(this.#aside, "archive");
    await packArchive(packed, archive, gzip);
    mkdirSync(dirname(place), { recursive: true });
    await syncTree([archive], this.#aside);
    renameSync(archive, place);
    await syncDirectory(dirname(place));
  }
}

/** Zeros become so much less at best. */
const MOST_DEFLATED = 1032;

/** Bytes of files, with their holes. */
function sizeOf(entries: readonly PlacedEntry[]): number {
  return entries.reduce((sum, { entry }) => sum + (entry.type === "file" ? entry.size : 0), 0);
}

/** It is another name of a file. */
function isAgain(entry: PlacedEntry["entry"]): boolean {
  return entry.type === "file" && entry.same !== undefined;
}

const IN_THE_WAY: ReadonlySet<string> = new Set(["EEXIST", "ENOTEMPTY", "EISDIR", "ENOTDIR"]);

/**
 * Makes the directories that a place is in. Below the directory that was chosen none of them may be
 * a link: what was fetched before may have put it there, to lead elsewhere.
 */
function makeParents(chosen: string, place: string): void {
  if (place === chosen) {
    mkdirSync(dirname(place), { recursive: true });
    return;
  }
  mkdirSync(chosen, { recursive: true });
  let parent = chosen;
  const inner = place.slice(chosen.length + 1).split("/");
  for (const part of inner.slice(0, -1)) {
    parent = `${parent}/${part}`;
    const stats = lstatSync(toBytes(parent), { throwIfNoEntry: false });
    if (!stats) mkdirSync(toBytes(parent));
    else if (!stats.isDirectory()) throw inTheWay(parent);
  }
}

function settle(entry: PlacedEntry["entry"], path: string): void {
  if (entry.type !== "dir") return;
  utimesSync(toBytes(path), entry.mtime, entry.mtime);
  chmodSync(toBytes(path), entry.mode & 0o777);
}

/** Where an item is to be. */
function placeOf(
  local: Exclude<LocalTarget, { readonly kind: "stdout" | "archive" }>,
  { entries, name }: SelectedItem,
  { isPattern }: Selection,
): string {
  const isDirectory = entries[0]?.entry.type === "dir";
  if (local.kind === "as" || (local.kind === "into" && isDirectory && !isPattern)) {
    return trimmed(local.path);
  }
  return [trimmed(local.path), ...name].join("/");
}

/** Without a slash at its end. */
function trimmed(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}

function checkSelection({ isPattern, items }: Selection, remote: string, local: LocalTarget): void {
  const [first] = items;
  if (local.kind === "stdout" && first && (isPattern || first.entries[0]!.entry.type !== "file")) {
    throw new CommandFailed(
      `${quoted(remote)} is no file, which is all that '-' is for: let LOCAL end in '.tar'.`,
    );
  }
  if (local.kind === "under" && first?.name.length === 0) {
    throw new CommandFailed(`${quoted(remote)} has no name: give it one with --output.`);
  }
}

/** Throws `CommandFailed` if there is not room enough for what is to come. */
function checkSpace(directory: string, size: number, { kind }: LocalTarget): void {
  const { bavail, bsize } = statfsSync(directory);
  if (size <= bavail * bsize) return;
  const where = quoted(dirname(directory));
  removeAside(directory);
  // What goes to standard output is checked first.
  const advice = kind === "stdout" ? " Set TMPDIR to a directory with room." : "";
  throw new CommandFailed(
    `There is no room in ${where}: ${exactSize(size)} are to come, and ${exactSize(bavail * bsize)} are free.${advice}`,
  );
}

/** What the system refuses is for the user to put right. */
function inWords(error: unknown): unknown {
  if (!(error instanceof Error) || !("syscall" in error)) return error;
  return new CommandFailed(`The files cannot be put there: ${error.message}.`, { cause: error });
}
