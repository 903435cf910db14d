/**
 * Where a job's log goes when it outgrows memory: a file without a name for a job that ends with
 * the worker's process, one with a name for a job whose log must still be there afterwards.
 */
import { type FileHandle, open, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncDirectory } from "../../system/index.js";
import { temporaryName } from "../files.js";

/** A new file in a directory, which is gone when it is closed, or the process ends. */
export async function openNameless(directory: string): Promise<FileHandle> {
  const path = join(directory, temporaryName("log"));
  const file = await open(path, "wx+", 0o600);
  await unlink(path);
  return file;
}

/** A new file of that name, which is found by it even after a power cut. */
export async function openNamed(path: string): Promise<FileHandle> {
  const file = await open(path, "w+", 0o600);
  try {
    await syncDirectory(dirname(path));
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Writes all of `bytes` at byte `position`. */
export async function writeFully(
  file: FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
