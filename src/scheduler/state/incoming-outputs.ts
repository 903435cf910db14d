/**
 * A stream of files on its way into a directory: it is *begun*, with what was there of it already;
 * *grows*; and is *kept*, once its hash is right. It is *closed* by whom it is for, or when
 * somebody else goes on with it: from then on it does nothing to its file.
 */
import type { Hash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { deferred, Mutex } from "../../async/index.js";
import { hashFile } from "../../system/index.js";
import { OutputsDamaged } from "./output-store.js";

/** Where it is to be, and where it is until then. */
interface IncomingPaths {
  readonly path: string;
  readonly part: string;
}

/** A stream on its way. */
export class IncomingOutputs {
  private readonly end = deferred();
  private closing: Promise<void> | undefined;
  private readonly mutex = new Mutex();
  private isInPlace = false;

  private constructor(
    private readonly paths: IncomingPaths,
    private readonly file: FileHandle,
    private hash: Hash,
    private written: number,
    private readonly onKept: (size: number) => Promise<void>,
  ) {}

  static async open(
    paths: IncomingPaths,
    onKept: (size: number) => Promise<void>,
  ): Promise<IncomingOutputs> {
    const file = await open(paths.part, "a+", 0o600);
    try {
      const { hash, length } = await hashFile(file);
      return new IncomingOutputs(paths, file, hash, length, onKept);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Resolves when it is closed. */
  get closed(): Promise<void> {
    return this.end.promise;
  }

  /** Bytes that are there. */
  get length(): number {
    return this.written;
  }

  /**
   * Adds to it. Rejects with the system's error, and has then added nothing or a part: `length`
   * says how much.
   */
  append(data: Uint8Array): Promise<void> {
    return this.inTurn(async () => {
      for (let done = 0; done < data.length; ) {
        const left = done === 0 ? data : data.subarray(done);
        const writing = this.file.write(left);
        // It is hashed meanwhile; mostly all of it is written.
        const hash = this.hash.copy().update(left);
        const { bytesWritten } = await writing;
        if (bytesWritten === left.length) this.hash = hash;
        else this.hash.update(left.subarray(0, bytesWritten));
        done += bytesWritten;
        this.written += bytesWritten;
      }
    });
  }

  /**
   * Keeps it, on disk, if that is its hash. Rejects with `OutputsDamaged` if not, which drops it,
   * or if somebody has removed it; or with the system's error, and may be called again then.
   */
  keep(sha256: Uint8Array): Promise<void> {
    return this.inTurn(async () => {
      if (!this.hash.copy().digest().equals(sha256)) {
        await rm(this.paths.part, { force: true });
        throw new OutputsDamaged("what came of its files is not what its worker had");
      }
      if (!this.isInPlace) await this.putInPlace();
      await this.onKept(this.written);
    });
  }

  private async putInPlace(): Promise<void> {
    await this.file.sync();
    try {
      await rename(this.paths.part, this.paths.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new OutputsDamaged("what came of its files was removed meanwhile", { cause: error });
    }
    this.isInPlace = true;
  }

  /** After what is being done to it; more is not. */
  close(): Promise<void> {
    this.closing ??= this.mutex.run(() => this.file.close()).finally(this.end.resolve);
    return this.closing;
  }

  /** Rejects if it is closed. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    if (this.closing) return Promise.reject(new Error("Somebody else goes on with these files"));
    return this.mutex.run(work);
  }
}
