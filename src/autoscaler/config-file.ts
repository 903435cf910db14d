/** Files of YAML, or of JSON, which is a part of it: read as a whole, up to a size. */
import { closeSync, openSync, readSync } from "node:fs";
import { parseDocument } from "yaml";
import { ConfigError, Settings } from "./settings.js";

/** Longest file, in bytes, and how often one may refer to what it has said. */
const MAX_CONFIG = 1024 ** 2;
const MAX_ALIASES = 100;

/** Throws a `ConfigError`. */
export function readSettings(path: string): Settings {
  const document = parseDocument(readText(path), { uniqueKeys: true });
  const [error] = document.errors;
  if (error) throw new ConfigError(`${path}: ${error.message.trim()}`);
  try {
    return new Settings(path, "", document.toJS({ maxAliasCount: MAX_ALIASES }));
  } catch (error) {
    throw new ConfigError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

function readText(path: string): string {
  const buffer = Buffer.alloc(MAX_CONFIG + 1);
  let length = 0;
  try {
    const fd = openSync(path, "r");
    try {
      for (let read = -1; read !== 0 && length < buffer.length; length += read) {
        read = readSync(fd, buffer, length, buffer.length - length, null);
      }
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new ConfigError(`Cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
  if (length > MAX_CONFIG) throw new ConfigError(`${path} is longer than ${MAX_CONFIG} bytes`);
  return buffer.toString("utf8", 0, length);
}
