import { createHash, type Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";

/** Bytes read at a time. */
const CHUNK = 1024 * 1024;

/**
 * The SHA-256 of what is in an open file, to be gone on with, and its bytes. Rejects with the
 * system's error.
 */
export async function hashFile(file: FileHandle): Promise<{ hash: Hash; length: number }> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafeSlow(CHUNK);
  for (let length = 0; ; ) {
    const { bytesRead } = await file.read(buffer, 0, CHUNK, length);
    if (bytesRead === 0) return { hash, length };
    hash.update(buffer.subarray(0, bytesRead));
    length += bytesRead;
  }
}
