/**
 * Files on their way into a directory aside: made one after the other, in the order in which their
 * data comes, each checked by its SHA-256 when it is whole. It goes on at its byte with another
 * connection, and with what an earlier process has left.
 *
 * Directories are made first, open to their user alone; links last, when nothing is written any
 * more that could go through one.
 */
import { createHash, type Hash } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  symlinkSync,
  write as writeAndCall,
  writeSync,
} from "node:fs";
import { promisify } from "node:util";
import { OutputStream } from "../../api/index.js";
import { Slices } from "../../async/index.js";
import { CommandFailed } from "../../console/index.js";
import type { Capability } from "../../rpc/index.js";
import { quoted, toBytes } from "../../text/index.js";
import type { OutputSource } from "./output-source.js";
import type { SelectedEntry } from "./selection.js";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;

const ZEROS = Buffer.alloc(1024 * 1024);

const write = promisify(writeAndCall);

/** What is to be where. */
export interface PlacedEntry {
  readonly entry: SelectedEntry["entry"];
  readonly path: string;
}

interface PlacedFile extends PlacedEntry {
  readonly entry: OutputStream.FileEntry;
}

export class Download {
  readonly #files: PlacedFile[];
  readonly #slices = new Slices();
  #next = 0;
  #current: FileInTheMaking | undefined;

  /** Makes directories. @param entries directories before what is in them; none twice */
  constructor(private readonly entries: readonly PlacedEntry[]) {
    const paths = new Map<string, string>();
    const files: PlacedFile[] = [];
    for (const { entry, path } of entries) {
      if (entry.type === "dir") mkdirSync(toBytes(path), { recursive: true, mode: 0o700 });
      if (entry.type !== "file" || this.#first(entry, paths) !== undefined) continue;
      paths.set(entry.path, path);
      files.push({ entry, path });
    }
    this.#files = files.sort((a, b) => a.entry.at - b.entry.at);
  }

  /** Bytes that are to come. */
  get size(): number {
    return this.#files.reduce((sum, { entry }) => sum + OutputStream.dataLength(entry), 0);
  }

  /**
   * Reads what is left. Rejects with an `RpcError`, and may be called again then; with
   * `CommandFailed`; and the system's errors.
   */
  async run(source: OutputSource, records: Capability): Promise<void> {
    for (;;) {
      await this.#skipWhole();
      const file = this.#current;
      if (!file) break;
      const from = file.position;
      let to = file.until;
      // What lies together is read together.
      for (let i = this.#next; this.#files[i]?.entry.at === to; i++) {
        to += OutputStream.dataLength(this.#files[i]!.entry);
      }
      for await (const data of source.read(records, from, to)) await this.#write(data);
    }
    this.#finish();
  }

  /** Lets go of what is open. */
  close(): void {
    this.#current?.close();
    this.#current = undefined;
  }

  /** The next file of which something is to come is the current one; undefined if there is none. */
  async #skipWhole(): Promise<void> {
    for (;;) {
      if (!this.#current) {
        const next = this.#files[this.#next];
        if (!next) return;
        this.#next++;
        this.#current = FileInTheMaking.open(next);
      }
      if (!this.#current.isWhole) return;
      await this.#end();
      await this.#slices.turn();
    }
  }

  async #write(data: Uint8Array): Promise<void> {
    for (let done = 0; done < data.length; ) {
      const file = this.#current!;
      done += await file.write(data.subarray(done), this.#slices);
      if (!file.isWhole) continue;
      await this.#end();
      await this.#skipToData();
    }
  }

  /**
   * As `skipWhole`, within data that lies together: what an earlier process has left of the next
   * file comes once more.
   */
  async #skipToData(): Promise<void> {
    for (;;) {
      const next = this.#files[this.#next];
      if (!next) return;
      this.#next++;
      this.#current = FileInTheMaking.anew(next);
      if (!this.#current.isWhole) return;
      await this.#end();
      await this.#slices.turn();
    }
  }

  async #end(): Promise<void> {
    const file = this.#current!;
    this.#current = undefined;
    await file.finish(this.#slices);
  }

  /** Where the same file is already, if it is. */
  #first({ same }: OutputStream.FileEntry, paths: ReadonlyMap<string, string>): string | undefined {
    return same === undefined ? undefined : paths.get(same);
  }

  #finish(): void {
    const paths = new Map<string, string>();
    for (const { entry, path } of this.entries) {
      if (entry.type === "link") {
        rmSync(toBytes(path), { force: true });
        symlinkSync(toBytes(entry.target), toBytes(path));
        lutimesSync(toBytes(path), entry.mtime, entry.mtime);
      } else if (entry.type === "file") {
        const first = this.#first(entry, paths);
        if (first === undefined) {
          paths.set(entry.path, path);
        } else {
          rmSync(toBytes(path), { force: true });
          linkSync(toBytes(first), toBytes(path));
        }
      }
    }
  }
}

interface OpenFile {
  readonly fd: number;
  /** There was none before, so that it is empty. */
  readonly isNew: boolean;
}

/** Opens it, or makes it: mostly there is none. */
function openFile(path: Buffer): OpenFile {
  const flags = O_RDWR | O_CREAT | O_NOFOLLOW;
  try {
    return { fd: openSync(path, flags | O_EXCL, 0o600), isNew: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  try {
    return { fd: openSync(path, flags, 0o600), isNew: false };
  } catch (error) {
    // One that is whole may have a mode by which not even its owner writes to it.
    if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
    rmSync(path);
    return { fd: openSync(path, flags, 0o600), isNew: true };
  }
}

/** Less than that, in bytes, is written sooner than a thread has taken it up. */
const WORTH_WAITING = 128 * 1024;

async function writeFully(fd: number, data: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesWritten } = await write(fd, data, done, data.length - done, position + done);
    done += bytesWritten;
  }
}

/** One file, of which a part is there. */
class FileInTheMaking {
  readonly #hash: Hash = createHash("sha256");
  readonly #data: readonly (readonly [offset: number, length: number])[];
  /** Bytes of the file that were hashed: data and holes. */
  #hashed = 0;
  /** The piece of data that is written, and how much of it is. */
  #piece = 0;
  #inPiece = 0;
  /** Bytes of data that are there. */
  #done = 0;

  private constructor(
    private readonly file: PlacedFile,
    private readonly fd: number,
    /** It may be longer, or shorter, than what is written to it. */
    private readonly isOfOwnLength: boolean,
  ) {
    const { data, size } = file.entry;
    this.#data = (data ?? [[0, size]]).filter(([, length]) => length > 0);
  }

  /** Goes on with what is there. */
  static open(file: PlacedFile): FileInTheMaking {
    const made = FileInTheMaking.#open(file);
    if (made.isOfOwnLength && file.entry.data) ftruncateSync(made.fd, 0);
    else if (made.isOfOwnLength) made.#takeUp();
    return made;
  }

  static anew(file: PlacedFile): FileInTheMaking {
    const made = FileInTheMaking.#open(file);
    if (made.isOfOwnLength) ftruncateSync(made.fd, 0);
    return made;
  }

  static #open(file: PlacedFile): FileInTheMaking {
    const { fd, isNew } = openFile(toBytes(file.path));
    return new FileInTheMaking(file, fd, !isNew);
  }

  /** Where its next byte is in the contents. */
  get position(): number {
    return this.file.entry.at + this.#done;
  }

  /** Where the data ends in the contents. */
  get until(): number {
    return this.file.entry.at + OutputStream.dataLength(this.file.entry);
  }

  get isWhole(): boolean {
    return this.#piece >= this.#data.length;
  }

  /** Writes what of it is this file's, and returns how much that was. */
  async write(data: Uint8Array, slices: Slices): Promise<number> {
    const [offset, length] = this.#data[this.#piece]!;
    await this.#hashHole(offset + this.#inPiece, slices);
    const part = data.subarray(0, length - this.#inPiece);
    const position = offset + this.#inPiece;
    if (part.length < WORTH_WAITING) {
      for (let done = 0; done < part.length; ) {
        done += writeSync(this.fd, part, done, part.length - done, position + done);
      }
      this.#add(part);
      return part.length;
    }
    // It is hashed meanwhile.
    const written = writeFully(this.fd, part, position);
    this.#add(part);
    await written;
    return part.length;
  }

  /**
   * Checks it, and gives it time and mode. Throws `CommandFailed` if it is not what it should be.
   */
  async finish(slices: Slices): Promise<void> {
    const { fd } = this;
    const { entry, path } = this.file;
    try {
      await this.#hashHole(entry.size, slices);
      if (this.#hash.digest("hex") !== entry.sha256) {
        rmSync(toBytes(path), { force: true });
        throw new CommandFailed(`${quoted(entry.path)} has arrived damaged: fetch it once more.`);
      }
      if (this.isOfOwnLength || entry.data) ftruncateSync(fd, entry.size);
      fchmodSync(fd, entry.mode & 0o777);
      futimesSync(fd, entry.mtime, entry.mtime);
    } finally {
      closeSync(fd);
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  #takeUp(): void {
    const { size } = fstatSync(this.fd);
    if (size > this.file.entry.size) ftruncateSync(this.fd, 0);
    const there = size > this.file.entry.size ? 0 : size;
    const buffer = Buffer.allocUnsafe(Math.min(there, ZEROS.length));
    while (this.#done < there) {
      const length = readSync(this.fd, buffer, 0, buffer.length, this.#done);
      if (length === 0) return;
      this.#add(buffer.subarray(0, length));
    }
  }

  #add(part: Uint8Array): void {
    this.#hash.update(part);
    this.#hashed += part.length;
    this.#done += part.length;
    this.#inPiece += part.length;
    if (this.#inPiece < this.#data[this.#piece]![1]) return;
    this.#piece++;
    this.#inPiece = 0;
  }

  async #hashHole(until: number, slices: Slices): Promise<void> {
    while (this.#hashed < until) {
      const length = Math.min(ZEROS.length, until - this.#hashed);
      this.#hash.update(ZEROS.subarray(0, length));
      this.#hashed += length;
      await slices.turn();
    }
  }
}
