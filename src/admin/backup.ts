/**
 * `backup`: a copy of all that the scheduler keeps, in a new directory on this machine.
 *
 * It is made aside, in DIR.partial-XXXXXX, and gets its name when it is whole and on disk: DIR is a
 * backup, or it is not there. What is not finished is removed, but by a kill. Names of files come
 * from the scheduler, and are of files below the directory (`backupPath`); nothing is followed or
 * overwritten, as all of it is new.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { type FileHandle, mkdir, mkdtemp, open, rename } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { BackupList, Backups } from "../api/index.js";
import { readAhead } from "../async/index.js";
import { CommandFailed } from "../console/index.js";
import { type Capability, RpcError } from "../rpc/index.js";
import { removeTree, syncDirectory } from "../system/index.js";
import { writeSize } from "../text/index.js";
import { printJson, printLine } from "./output.js";

/** How it is read: in memory that is 4 MiB, and at a thousand kilometres 200 MB/s. */
const PACE = { part: 512 * 1024, ahead: 8 };

/** Files that are asked for at a time. */
const FILES_AT_ONCE = 500;

export interface BackupOptions extends Backups.BackupContent {
  readonly json: boolean;
}

/**
 * Makes a backup in `directory`, which must not exist. Rejects with `CommandFailed`, the system's
 * error, or the signal's reason.
 */
export async function backup(
  admin: Capability,
  directory: string,
  { json, ...content }: BackupOptions,
  signal: AbortSignal,
): Promise<void> {
  refuseExisting(directory);
  // Absolute, so that a name such as `-v` is none of an option.
  const to = resolve(directory);
  const aside = await mkdtemp(join(dirname(to), `${basename(to)}.partial-`)).catch(withoutPlace);
  try {
    using copy = await Backups.begin(admin, content, { signal }).catch(inWords);
    const total = await new Writer(copy, aside, signal).writeAll();
    refuseExisting(directory);
    await rename(aside, to);
    await syncDirectory(dirname(to));
    if (json) printJson({ directory: to, ...total });
    else printLine(`${total.files} files, ${writeSize(total.size)}, in ${directory}.`);
  } catch (error) {
    await removeTree(aside);
    signal.throwIfAborted();
    if (error instanceof RangeError || error instanceof BackupList.BadBackup) {
      const what = `What the scheduler gives is no backup: ${error.message}`;
      throw new CommandFailed(what, { cause: error });
    }
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
    const what = `There is no room for the backup in "${dirname(to)}". Nothing is left of it.`;
    throw new CommandFailed(what, { cause: error });
  }
}

interface Total {
  readonly files: number;
  readonly size: number;
}

class Writer {
  private size = 0;
  private readonly made = new Set<string>();

  constructor(
    private readonly copy: Capability,
    private readonly directory: string,
    private readonly signal: AbortSignal,
  ) {}

  /** Returns when all is on disk. */
  async writeAll(): Promise<Total> {
    const { copy, directory, signal } = this;
    const made = Date.now() / 1000;
    const lines: string[] = [];
    for (;;) {
      const files = await Backups.files(copy, lines.length, FILES_AT_ONCE, { signal });
      if (files.length === 0) break;
      for (const file of files) lines.push(await this.write(lines.length, file));
    }
    const list = await open(join(directory, BackupList.BACKUP_LIST), "wx", 0o600);
    await finished(list, async () => {
      await list.writeFile(BackupList.headLine({ made, files: lines.length }));
      for (const line of lines) await list.writeFile(line);
    });
    for (const each of this.made) await syncDirectory(each);
    await syncDirectory(directory);
    return { files: lines.length, size: this.size };
  }

  /** Writes a file of the copy; returns its line of the list. */
  private async write(number: number, file: Backups.BackupFile): Promise<string> {
    const { copy, signal } = this;
    const parts = BackupList.backupPath(file.name);
    const path = join(this.directory, ...parts);
    await this.makeParents(parts.slice(0, -1));
    const hash = createHash("sha256");
    const read = (start: number, limit: number) =>
      Backups.read(copy, number, start, limit, { signal });
    const target = await open(path, "wx", 0o600);
    await finished(target, async () => {
      for await (const data of readAhead(read, 0, file.size, PACE)) {
        hash.update(data);
        await target.writeFile(data);
        this.size += data.length;
      }
      await target.utimes(file.modified, file.modified);
    });
    return BackupList.fileLine({ ...file, sha256: hash.digest("hex") });
  }

  private async makeParents(parts: readonly string[]): Promise<void> {
    let path = this.directory;
    for (const part of parts) {
      path = join(path, part);
      if (this.made.has(path)) continue;
      await mkdir(path, { mode: 0o700 });
      this.made.add(path);
    }
  }
}

/** Closes the file, with what was written on disk. */
async function finished(file: FileHandle, write: () => Promise<void>): Promise<void> {
  try {
    await write();
    await file.sync();
  } finally {
    await file.close();
  }
}

function refuseExisting(directory: string): void {
  if (!existsSync(directory)) return;
  throw new CommandFailed(`"${directory}" exists already: a backup is made in a new directory.`);
}

function withoutPlace(error: NodeJS.ErrnoException): never {
  throw new CommandFailed(`Cannot make a backup there: ${error.message}`, { cause: error });
}

function inWords(error: unknown): never {
  if (!(error instanceof RpcError) || error.kind !== "unimplemented") throw error;
  throw new CommandFailed(
    "This scheduler makes no backups over the network (--no-backups, or another release): copy its files on its machine.",
    { cause: error },
  );
}
