/*
 * The variables of a base image, as they are kept in its layer: a file `env` with `((env ((K
 * V)…)))`.
 */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toBytes } from "../../text/index.js";
import type { LayerId, Store } from "../contracts.js";
import { StoreError } from "../errors.js";
import { toHuman } from "../sexp/printer.js";
import { readSexp } from "../sexp/reader.js";
import { isList, list } from "../sexp/sexp.js";
import type { Env } from "../spec/spec.js";
import { readList, readPair, readRecord, required } from "../spec/spec-record.js";

/** The variables of the image whose layer that is; undefined if it is not in the store. */
export async function readImageEnv(store: Store, id: LayerId): Promise<Env | undefined> {
  const dir = await store.result(id);
  return dir === undefined ? undefined : await readEnv(dir);
}

/** Reads the file in that directory. Throws `StoreError` if it is not as it should be. */
export async function readEnv(dir: string): Promise<Env> {
  const path = join(dir, "env");
  const saved = readSexp(await readFile(path), path);
  if (isList(saved)) return readRecord(saved, SAVED_FIELDS).env;
  throw new StoreError(`"${path}" should hold ((env ((K V)…))); delete the layer`);
}

/** Writes the file into that directory, to be read by people, too. */
export async function writeEnv(dir: string, env: Env): Promise<void> {
  const text = toHuman(list([list(["env", list(env.map((variable) => list(variable)))])]));
  await writeFile(join(dir, "env"), toBytes(text));
}

const SAVED_FIELDS = { env: required((value) => readList(value, readPair)) };
