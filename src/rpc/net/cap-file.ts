/**
 * `.cap` files: one sturdy ref in a file of mode 0600. They are copied by hand between machines, so
 * what can go wrong with them is said in full.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { CapFileError } from "../errors.js";
import { SturdyRef, SturdyRefError } from "./sturdy-ref.js";

/** A URI is ~150 bytes; what is longer than this is some other file. */
const MAX_BYTES = 64 * 1024;

/**
 * Reads the sturdy ref in `path`; white space around it does not matter. Pipes work too. Throws
 * `CapFileError`.
 */
export function readCapFile(path: string): SturdyRef {
  const text = readText(path).trim();
  if (text === "") throw malformed(path, "the file is empty");
  try {
    return SturdyRef.parse(text);
  } catch (error) {
    if (error instanceof SturdyRefError) throw malformed(path, error.message, error);
    throw error;
  }
}

/**
 * Writes `ref` and a newline to `path`, mode 0600. A reader finds the old file or the new one,
 * never half of it. Throws `CapFileError` (unwritable).
 */
export function writeCapFile(path: string, ref: SturdyRef): void {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const fd = openSync(temporary, "wx", 0o600);
    try {
      writeSync(fd, `${ref.format()}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    try {
      unlinkSync(temporary);
    } catch {
      // It was never made.
    }
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? `there is no directory "${dirname(path)}"` : message;
    throw new CapFileError(
      path,
      "unwritable",
      `Cannot write capability file "${path}": ${reason}`,
      { cause: error },
    );
  }
}

function readText(path: string): string {
  const buffer = Buffer.alloc(MAX_BYTES + 1);
  let length = 0;
  try {
    const fd = openSync(path, "r");
    try {
      for (let n = -1; n !== 0 && length < buffer.length; length += n) {
        n = readSync(fd, buffer, length, buffer.length - length, null);
      }
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      throw new CapFileError(path, "missing", `Capability file "${path}" does not exist`, {
        cause: error,
      });
    }
    throw new CapFileError(
      path,
      "unreadable",
      `Cannot read capability file "${path}": ${message}`,
      { cause: error },
    );
  }
  if (length > MAX_BYTES) throw malformed(path, "it is too long to be one");
  return buffer.toString("utf8", 0, length);
}

function malformed(path: string, reason: string, cause?: Error): CapFileError {
  return new CapFileError(
    path,
    "malformed",
    `"${path}" is no usable capability file: ${reason}. Get a fresh copy from who gave it to you.`,
    cause && { cause },
  );
}
