/**
 * The list in a backup, `backup.jsonl`, by which it is known to be whole, and of which release it
 * is: lines of JSON, the first about the backup, and one for each file.
 *
 *     {"backup":"ocluster-scheduler","version":1,"made":1764536400.25,"files":2}
 *     {"name":"key.pem","size":1704,"modified":1764536400,"sha256":"9f86d0…"}
 *
 * Names of files come from another machine, and so do backups: what a line says is checked here.
 */
import type { BackupFile } from "./backups.js";

/** Its name in the backup. No file of a backup has it. */
export const BACKUP_LIST = "backup.jsonl";

/** Of the list and of where things are. A larger one is a later release's. */
const VERSION = 1;

/** The most parts that a name has, and the bytes of each: what file systems take. */
const PARTS = 5;
const PART_BYTES = 255;

export interface BackupHead {
  /** In seconds since the Unix epoch. */
  readonly made: number;
  /** How many lines come. */
  readonly files: number;
}

export interface ListedFile extends BackupFile {
  /** Of its content, as hexadecimal digits. */
  readonly sha256: string;
}

/** It is no backup, or not whole, or of a later release. The message says what it is about. */
export class BadBackup extends Error {
  override readonly name = "BadBackup";
}

/**
 * A name's parts. Throws `BadBackup` unless it is one of a file below a directory: no part is
 * empty, `.` or `..`, and it is not the list's.
 */
export function backupPath(name: string): readonly string[] {
  const parts = name.split("/");
  const isFine = (part: string) =>
    !["", ".", ".."].includes(part) &&
    !part.includes("\0") &&
    Buffer.byteLength(part) <= PART_BYTES;
  if (parts.length > PARTS || !parts.every(isFine) || name === BACKUP_LIST) {
    throw new BadBackup(`${JSON.stringify(name)} is no name of a file of a backup`);
  }
  return parts;
}

/** The first line, with its end. */
export function headLine({ files, made }: BackupHead): string {
  return `${JSON.stringify({ backup: "ocluster-scheduler", version: VERSION, made, files })}\n`;
}

/** A file's line, with its end. */
export function fileLine({ modified, name, sha256, size }: ListedFile): string {
  return `${JSON.stringify({ name, size, modified, sha256 })}\n`;
}

/** Throws `BadBackup`. */
export function readHead(line: string): BackupHead {
  const head = parsed(line) as Partial<BackupHead & { backup: string; version: number }>;
  if (head.backup !== "ocluster-scheduler" || !isCount(head.version)) {
    throw new BadBackup(`its ${BACKUP_LIST} is not that of a backup`);
  }
  if (head.version > VERSION) {
    throw new BadBackup(
      `it is of version ${head.version}, which a later release of ocluster has made; this one knows ${VERSION} at most`,
    );
  }
  if (!isCount(head.files) || !Number.isFinite(head.made)) throw senseless(line);
  return { made: head.made!, files: head.files };
}

/** Throws `BadBackup`. */
export function readFileLine(line: string): ListedFile {
  const { modified, name, sha256, size } = parsed(line) as Partial<ListedFile>;
  if (typeof name !== "string" || !isCount(size) || !Number.isFinite(modified)) {
    throw senseless(line);
  }
  if (!/^[0-9a-f]{64}$/.test(String(sha256))) throw senseless(line);
  backupPath(name);
  return { name, size, modified: modified!, sha256: sha256! };
}

function parsed(line: string): object {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw senseless(line);
  }
  if (typeof value !== "object" || value === null) throw senseless(line);
  return value;
}

function senseless(line: string): BadBackup {
  return new BadBackup(`its ${BACKUP_LIST} has a line that makes no sense: ${line.slice(0, 200)}`);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
