/**
 * A copy of all that a scheduler keeps, as it is at one moment, while it is in use.
 *
 *     key.pem, capnp-secrets/NAME.cap   in memory
 *     jobs.db, scheduler.db, …          copied, aside: into STATE/backup.new
 *     contexts/…                        links, in there, too
 *     job-logs/…, outputs/…             links beside the files, in backup.new there: these are added to, or go, and never change
 *
 * The order makes it one moment: whom records are of is copied after the records, so each job has
 * its client; and while they are copied no log goes that they know, and what they know of logs is
 * on disk. What came after the records is in no log that they know, or means nothing there.
 *
 * Databases need room on the disk of the state. It is looked for first, as jobs that run need some,
 * too.
 */
import { link, mkdir, open, readdir, readFile, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Backups } from "../../api/index.js";
import { Mutex } from "../../async/index.js";
import { removeTree } from "../../system/index.js";
import { writeSize } from "../../text/index.js";
import { copyDatabase } from "./copy-database.js";
import { JOBS_DATABASE, type JobRecords } from "./job-records.js";
import { readOutputKey } from "./kept-outputs.js";
import type { LogSpool } from "./log-spool.js";
import { ARTEFACTS_INDEX } from "./open-outputs.js";
import type { OutputStore } from "./output-store.js";
import { SCHEDULER_DATABASE } from "./store.js";

/** Of what is copied or linked, in each directory. */
const ASIDE = "backup.new";

/** The directory of local directories to build from in the state directory. */
export const CONTEXTS = "contexts";

/** Room that a copy leaves on the disk of the state, in bytes. */
const LEFT_FREE = 64 * 1024 ** 2;

/** The most that one `read` gives. */
const READ_SIZE = 1024 ** 2;

export interface BackupSources {
  readonly stateDir: string;
  /** The key file's content; undefined: it is not kept. */
  readonly key: string | undefined;
  /** The capability files that the scheduler writes, by their names there. Some may not exist. */
  readonly caps: readonly { readonly name: string; readonly path: string }[];
  readonly records: JobRecords;
  readonly spool: LogSpool;
  readonly outputs: OutputStore;
}

interface CopiedFile extends Backups.BackupFile {
  readonly from: { readonly path: string } | { readonly data: Uint8Array };
}

/** There is not enough room for it. The message says how much is lacking where. */
export class NoRoomForBackup extends Error {
  override readonly name = "NoRoomForBackup";
}

export class BackupCopy {
  private readonly mutex = new Mutex();

  private constructor(
    readonly files: readonly CopiedFile[],
    private readonly sources: BackupSources,
  ) {}

  /**
   * Rejects with `NoRoomForBackup`, a `StoreError`, the system's error or the signal's reason, and
   * leaves nothing then. One at a time.
   */
  static async make(
    sources: BackupSources,
    content: Backups.BackupContent,
    signal: AbortSignal,
  ): Promise<BackupCopy> {
    await removeLeftBackup(sources);
    try {
      await checkRoom(sources.stateDir);
      return new BackupCopy(await copy(sources, content, signal), sources);
    } catch (error) {
      await removeLeftBackup(sources);
      throw error;
    }
  }

  /** Bytes of all files together. */
  get size(): number {
    return this.files.reduce((sum, { size }) => sum + size, 0);
  }

  /**
   * Bytes of a file by its number, from `start` on, `limit` at most; none at its end. Rejects with
   * the system's error. However many are asked for at a time, one is read.
   */
  read(number: number, start: number, limit: number): Promise<Uint8Array> {
    const file = this.files[number];
    if (!file) return Promise.resolve(new Uint8Array(0));
    // A log grows meanwhile: what was there is what is copied.
    const end = Math.min(start + Math.min(limit, READ_SIZE), file.size);
    const { from } = file;
    if ("data" in from) return Promise.resolve(from.data.subarray(start, end));
    return this.mutex.run(() => readRange(from.path, start, end));
  }

  /** To be called once, when nothing is read any more. */
  async remove(): Promise<void> {
    await removeLeftBackup(this.sources);
  }
}

/** Also what a scheduler has left that was killed while it had a copy. */
export async function removeLeftBackup(sources: BackupSources): Promise<void> {
  await removeTree(...allPlaces(sources));
}

function placesOf({ outputs, spool, stateDir }: BackupSources) {
  return {
    databases: join(stateDir, ASIDE),
    logs: join(spool.directory, ASIDE),
    outputs: outputs.localDirectory === undefined ? undefined : join(outputs.localDirectory, ASIDE),
  };
}

function allPlaces(sources: BackupSources): string[] {
  return Object.values(placesOf(sources)).filter((place) => place !== undefined);
}

async function copy(
  sources: BackupSources,
  content: Backups.BackupContent,
  signal: AbortSignal,
): Promise<CopiedFile[]> {
  const { outputs, records, spool, stateDir } = sources;
  const places = placesOf(sources);
  for (const place of allPlaces(sources)) await mkdir(place, { mode: 0o700 });
  await spool.held(async () => {
    await records.backup(join(places.databases, JOBS_DATABASE), signal);
    if (content.logs) await spool.link(places.logs);
  });
  for (const name of [SCHEDULER_DATABASE, ARTEFACTS_INDEX]) {
    const from = join(stateDir, name);
    if (!(await stat(from).catch(ifThere))) continue;
    await copyDatabase({ from, to: join(places.databases, name) }, signal);
  }
  // Those that jobs on record need stay while these do.
  await linkTree(join(stateDir, CONTEXTS), join(places.databases, CONTEXTS));
  if (content.outputs && places.outputs !== undefined) {
    await linkOutputs(outputs.localDirectory!, places.outputs);
  }
  signal.throwIfAborted();
  return [
    ...(await secrets(sources)),
    ...(await filesIn(places.databases, "")),
    ...(await filesIn(places.logs, "job-logs/")),
    ...(places.outputs === undefined ? [] : await filesIn(places.outputs, "outputs/")),
  ];
}

/** What is on its way is left out, and so is what goes meanwhile. */
async function linkTree(from: string, to: string): Promise<void> {
  const entries = await readdir(from, { withFileTypes: true }).catch(ifThere);
  if (!entries) return;
  await mkdir(to, { mode: 0o700 });
  for (const entry of entries) {
    const { name } = entry;
    if (entry.isFile()) await link(join(from, name), join(to, name)).catch(ifThere);
    else if (name !== "parts" && name !== "new") await linkTree(join(from, name), join(to, name));
  }
}

/** What goes meanwhile is left out. */
async function linkOutputs(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    if (readOutputKey(name)) await link(join(from, name), join(to, name)).catch(ifThere);
  }
}

async function secrets({ caps, key }: BackupSources): Promise<CopiedFile[]> {
  const modified = Date.now() / 1000;
  const file = (name: string, data: Buffer) => ({
    name,
    size: data.length,
    modified,
    from: { data },
  });
  const files = key === undefined ? [] : [file("key.pem", Buffer.from(key, "latin1"))];
  for (const { name, path } of caps) {
    const data = await readFile(path).catch(ifThere);
    if (data) files.push(file(`capnp-secrets/${name}.cap`, data));
  }
  return files;
}

async function filesIn(directory: string, prefix: string): Promise<CopiedFile[]> {
  const files: CopiedFile[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const { name } = entry;
    const path = join(directory, name);
    if (entry.isDirectory()) {
      for (const file of await filesIn(path, `${prefix}${name}/`)) files.push(file);
      continue;
    }
    const { mtimeMs, size } = await stat(path);
    files.push({ name: prefix + name, size, modified: mtimeMs / 1000, from: { path } });
  }
  return files;
}

async function checkRoom(stateDir: string): Promise<void> {
  let needed = 0;
  for (const name of [JOBS_DATABASE, SCHEDULER_DATABASE, ARTEFACTS_INDEX]) {
    for (const part of [name, `${name}-wal`]) {
      needed += (await stat(join(stateDir, part)).catch(ifThere))?.size ?? 0;
    }
  }
  const { bavail, bsize } = await statfs(stateDir);
  const free = bavail * bsize;
  if (free >= needed + LEFT_FREE) return;
  throw new NoRoomForBackup(
    `The databases are copied on the scheduler's machine first, and there is no room for it in ${stateDir}: ` +
      `it takes ${writeSize(needed)}, ${writeSize(LEFT_FREE)} are to be left, and ${writeSize(free)} are free`,
  );
}

async function readRange(path: string, start: number, end: number): Promise<Uint8Array> {
  const data = Buffer.allocUnsafeSlow(Math.max(0, end - start));
  const file = await open(path, "r");
  try {
    const { bytesRead } = await file.read(data, 0, data.length, start);
    return data.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function ifThere(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
