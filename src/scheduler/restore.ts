/**
 * `ocluster-scheduler --restore=DIR`: makes the state of a scheduler of a backup that
 * `ocluster-admin backup` has written (`api/backup-list.ts`).
 *
 * Nothing that is there is overwritten: a state directory with a state is refused, and so is a key
 * or a client's capability file that is another one than the backup's.
 *
 * States: *nothing* is there; *aside*, in STATE/restoring, where each file comes whole and is
 * compared with its hash; *being put in place*, by renames; *done*, when STATE/restoring is gone.
 * Until then no scheduler starts there (`checkRestored`), and what is there is the restore's own,
 * so the next one begins with clearing it away.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { lstat, mkdir, open, readdir, readFile, rename, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { BackupList } from "../api/index.js";
import { makeDirectory, removeTree, syncDirectory } from "../system/index.js";
import { lockState } from "../system/state-lock.js";
import { LOGS } from "./services/durable-jobs.js";
import { CONTEXTS } from "./state/backup-copy.js";
import { outputsOfBook } from "./state/directory-outputs.js";
import { JOBS_DATABASE } from "./state/job-records.js";
import { JobsDatabase } from "./state/jobs-database.js";
import { ARTEFACTS_INDEX, OUTPUTS } from "./state/open-outputs.js";
import { SCHEDULER_DATABASE } from "./state/store.js";

/** In the state directory, and in that of outputs. */
const ASIDE = "restoring";

/** What belongs to a state. */
const STATE = [SCHEDULER_DATABASE, JOBS_DATABASE, ARTEFACTS_INDEX, LOGS, CONTEXTS];

/** What SQLite keeps beside a database, which belongs to another state of it. */
const DATABASES = [SCHEDULER_DATABASE, JOBS_DATABASE, ARTEFACTS_INDEX];
const BESIDE = DATABASES.flatMap((name) => [`${name}-wal`, `${name}-shm`]);

/** So many numbers of jobs are left out: those that were given out after the backup. */
const SKIPPED_NUMBERS = 1_000_000;

export interface RestoreConfig {
  /** The backup. */
  readonly from: string;
  readonly stateDir: string;
  /** "": the key is not kept. */
  readonly secretKeyFile: string;
  readonly secretsDir: string;
  /** Where files of results are kept; undefined: in the state directory. */
  readonly outputs: string | undefined;
}

/** It cannot be restored. The message says what, why and what to do. */
export class RestoreFailed extends Error {
  override readonly name = "RestoreFailed";
}

/** Throws `RestoreFailed` if a restore into that directory was not finished. */
export function checkRestored(stateDir: string): void {
  if (!existsSync(join(stateDir, ASIDE))) return;
  throw new RestoreFailed(
    `A restore into "${stateDir}" was not finished: run it again, with --restore=DIR`,
  );
}

/**
 * Resolves with what the backup is when all is in place and on disk. Rejects with `RestoreFailed`
 * or the system's error, and leaves nothing then of what it has made, unless it was killed.
 */
export async function restoreBackup(
  config: RestoreConfig,
  onWarning: (warning: string) => void,
): Promise<BackupList.BackupHead> {
  const { from, stateDir } = config;
  try {
    const { files, head } = await readBackup(from);
    makeDirectory(stateDir, "for the scheduler's state (--state-dir)", 0o755);
    const advice = "Stop that one, or restore into another --state-dir";
    const unlock = lockState({ program: "scheduler", directory: stateDir, advice }, onWarning);
    try {
      await new Restore(config, files).run();
    } finally {
      unlock();
    }
    return head;
  } catch (error) {
    throw inWords(error, config);
  }
}

function inWords(error: unknown, { from, stateDir }: RestoreConfig): unknown {
  if (error instanceof BackupList.BadBackup) {
    return new RestoreFailed(`"${from}" cannot be restored: ${error.message}`, { cause: error });
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  const what = `There is no room for the backup in "${stateDir}". Nothing was restored`;
  return new RestoreFailed(what, { cause: error });
}

/** Throws `BadBackup`. */
async function readBackup(from: string) {
  const path = join(from, BackupList.BACKUP_LIST);
  if (!existsSync(path)) {
    const made = "ocluster-admin backup DIR makes one";
    throw new BackupList.BadBackup(`there is no ${BackupList.BACKUP_LIST} in it (${made})`);
  }
  let head: BackupList.BackupHead | undefined;
  const files: BackupList.ListedFile[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (head) files.push(BackupList.readFileLine(line));
    else head = BackupList.readHead(line);
  }
  if (!head) throw new BackupList.BadBackup(`its ${BackupList.BACKUP_LIST} is empty`);
  const names = new Set(files.map(({ name }) => name));
  if (files.length !== head.files || names.size !== head.files) {
    throw new BackupList.BadBackup(`its ${BackupList.BACKUP_LIST} is not whole`);
  }
  for (const name of [SCHEDULER_DATABASE, JOBS_DATABASE]) {
    if (!names.has(name)) throw new BackupList.BadBackup(`there is no ${name} in it`);
  }
  return { head, files };
}

class Restore {
  private readonly aside: string;
  /** Those that files were put into. */
  private readonly directories = new Set<string>();
  private readonly outputs: string;
  private readonly outputsAside: string;

  constructor(
    private readonly config: RestoreConfig,
    private readonly files: readonly BackupList.ListedFile[],
  ) {
    this.aside = join(config.stateDir, ASIDE);
    this.outputs = config.outputs ?? join(config.stateDir, OUTPUTS);
    this.outputsAside = join(this.outputs, ASIDE);
  }

  async run(): Promise<void> {
    const { stateDir } = this.config;
    if (existsSync(this.aside)) await this.clear();
    const there = [...STATE, ...BESIDE].find((name) => existsSync(join(stateDir, name)));
    if (there !== undefined) {
      throw new RestoreFailed(
        `There is a scheduler's state in "${stateDir}" already (${there}). ` +
          "Restore into another --state-dir, or move that away",
      );
    }
    await this.checkSecrets();
    await mkdir(this.aside, { mode: 0o700 });
    try {
      await mkdir(join(this.aside, LOGS), { mode: 0o700 });
      makeDirectory(this.outputsAside, "for files of jobs (--artefacts)", 0o700);
      for (const file of this.files) await this.take(file);
      const book = readyRecords(join(this.aside, JOBS_DATABASE));
      await this.putInPlace(book);
    } catch (error) {
      await this.clear();
      throw error;
    }
  }

  /** Nothing was there before, so all that is there was restored. */
  private async clear(): Promise<void> {
    const made = [...STATE, ...BESIDE].map((name) => join(this.config.stateDir, name));
    await removeTree(...made, this.outputsAside);
    await removeTree(this.aside);
  }

  /** Where a file goes, aside; null: it is one of the secrets, which are written at the end. */
  private placeOf(name: string): string | null {
    if (this.secretPlace(name) !== undefined) return null;
    const parts = BackupList.backupPath(name);
    const [directory = "", file, more] = parts;
    if (directory === CONTEXTS && file !== undefined) return join(this.aside, ...parts);
    if (more !== undefined) throw this.unknown(name);
    if (file === undefined && DATABASES.includes(directory)) {
      return join(this.aside, directory);
    }
    if (file !== undefined && directory === "job-logs") return join(this.aside, LOGS, file);
    if (file !== undefined && directory === "outputs") return join(this.outputsAside, file);
    throw this.unknown(name);
  }

  private unknown(name: string): BackupList.BadBackup {
    return new BackupList.BadBackup(
      `this release does not know what ${JSON.stringify(name)} in it is; a later one has made it`,
    );
  }

  /** Undefined: it is none of the secrets; null: it is not wanted. */
  private secretPlace(name: string): string | null | undefined {
    const { secretKeyFile, secretsDir } = this.config;
    if (name === "key.pem") return secretKeyFile === "" ? null : secretKeyFile;
    const [, cap] = /^capnp-secrets\/([^/]+\.cap)$/.exec(name) ?? [];
    return cap === undefined ? undefined : join(secretsDir, cap);
  }

  /** Copies a file aside, on disk. Throws `BadBackup` if it is not what the list says. */
  private async take(listed: BackupList.ListedFile): Promise<void> {
    const place = this.placeOf(listed.name);
    if (place === null) return void (await this.secret(listed));
    const from = join(this.config.from, ...BackupList.backupPath(listed.name));
    await checkIsFile(from, listed);
    await mkdir(dirname(place), { recursive: true, mode: 0o700 });
    this.directories.add(dirname(place));
    const hash = createHash("sha256");
    const target = await open(place, "wx", 0o600);
    try {
      for await (const data of createReadStream(from)) {
        hash.update(data);
        await target.writeFile(data);
      }
      if (hash.digest("hex") !== listed.sha256) throw damaged(listed);
      await target.utimes(listed.modified, listed.modified);
      await target.sync();
    } finally {
      await target.close();
    }
  }

  private async secret(listed: BackupList.ListedFile): Promise<Buffer> {
    const from = join(this.config.from, ...BackupList.backupPath(listed.name));
    await checkIsFile(from, listed);
    const data = await readFile(from);
    if (createHash("sha256").update(data).digest("hex") !== listed.sha256) throw damaged(listed);
    return data;
  }

  private *secrets(): Generator<readonly [file: BackupList.ListedFile, place: string]> {
    for (const file of this.files) {
      const place = this.secretPlace(file.name);
      if (place) yield [file, place];
    }
  }

  /** Throws `RestoreFailed` if there is another key, or another client's file of a name. */
  private async checkSecrets(): Promise<void> {
    for (const [file, place] of this.secrets()) {
      // Those of administrator and pools follow from the key, and are written at each start.
      if (/\/(admin|pool-[^/]*)\.cap$/.test(file.name) || !existsSync(place)) continue;
      if (!(await readFile(place)).equals(await this.secret(file))) {
        throw new RestoreFailed(`"${place}" is another one than the backup's: move it away`);
      }
    }
  }

  private async putInPlace(book: Uint8Array): Promise<void> {
    const { stateDir } = this.config;
    for (const [file, place] of this.secrets()) {
      if (existsSync(place)) continue;
      await writeNew(place, await this.secret(file));
    }
    await this.putOutputs(outputsOfBook(this.outputs, book));
    for (const each of this.directories) if (existsSync(each)) await syncDirectory(each);
    for (const name of STATE) {
      // Of files in an object store there may be no index.
      if (existsSync(join(this.aside, name))) {
        await rename(join(this.aside, name), join(stateDir, name));
      }
    }
    await syncDirectory(stateDir);
    await rmdir(this.aside);
    await syncDirectory(stateDir);
  }

  /** Where the files of these records are still there, those are as good. */
  private async putOutputs(place: string): Promise<void> {
    await mkdir(place, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.outputsAside)) {
      const to = join(place, name);
      if (!existsSync(to)) await rename(join(this.outputsAside, name), to);
    }
    await removeTree(this.outputsAside);
    await syncDirectory(place);
  }
}

/** Returns when it is on disk. */
async function writeNew(path: string, data: Uint8Array): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
  await syncDirectory(dirname(path));
}

/**
 * Takes care that no job gets a number that was given out after the backup; returns whose records
 * they are. Throws `BadBackup` if they are a later release's.
 */
function readyRecords(path: string): Uint8Array {
  let database: JobsDatabase;
  try {
    // No description is looked at.
    database = new JobsDatabase({ path, key: new Uint8Array(32), readonly: false });
  } catch (error) {
    throw new BackupList.BadBackup((error as Error).message, { cause: error });
  }
  try {
    database.skipIds(SKIPPED_NUMBERS);
    return Uint8Array.from(database.book);
  } finally {
    database.close();
  }
}

async function checkIsFile(path: string, listed: BackupList.ListedFile): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (!found) throw new BackupList.BadBackup(`${listed.name} is missing in it`);
  if (!found.isFile() || found.size !== listed.size) throw damaged(listed);
}

function damaged({ name }: BackupList.ListedFile): BackupList.BadBackup {
  return new BackupList.BadBackup(
    `${name} in it is not what was copied: it was damaged or changed`,
  );
}
