/*
 * Layer ids: the SHA-256, in lower-case hexadecimal, of a text that says all a layer depends on.
 * Stores are shared with the reference, so these texts are its texts to the byte: S-expressions in
 * machine form (but a base image's bare name), which is ASCII whatever they contain.
 *
 * Not in an id: caches and BuildKit options of a `run`; work directory, variables and shell of a
 * `copy`; modes, owners and times of copied files; a base image's digest.
 */

import { createHash } from "node:crypto";
import { inOneGo } from "../../async/index.js";
import { fromBytes, toBytes } from "../../text/index.js";
import { writingMachine } from "../sexp/printer.js";
import { type List, list } from "../sexp/sexp.js";
import type { Env, User } from "../spec/spec.js";
import { sexpOfUser } from "../spec/spec-printer.js";
import type { Manifest } from "./copy-manifest.js";

export interface LayerKey {
  /** 64 lower-case hexadecimal digits. */
  readonly id: string;
  /** What they are the hash of. Holds secrets in clear: not for logs. */
  readonly hashed: string;
}

export interface RunInput {
  /** Id of the layer it runs on. */
  readonly base: string;
  readonly workdir: string;
  readonly user: User;
  readonly env: Env;
  /** The command itself, and the words before it. */
  readonly cmd: string;
  readonly shell: readonly string[];
  readonly network: readonly string[];
  /** In the order they are mounted, which is the reverse of the spec's. */
  readonly secrets: readonly { readonly value: Uint8Array; readonly target: string }[];
}

export interface CopyInput {
  /** Id of the layer it is copied into. */
  readonly base: string;
  /** Owner of what is copied. */
  readonly user: User;
  /** One for each source, in the spec's order. */
  readonly manifests: readonly Manifest[];
  /** Absolute; with a slash at its end, the directory to copy into, else the copy's own name. */
  readonly dst: string;
}

/** The layer of a base image. */
export function baseKey(image: string): LayerKey {
  return key(image);
}

/** The layer that a `run` makes. Yields where it can be interrupted. */
export function* makingRunKey(input: RunInput): Generator<void, LayerKey> {
  return key(
    yield* writingMachine(
      list([
        list(["base", input.base]),
        list(["workdir", input.workdir]),
        list(["user", sexpOfUser(input.user)]),
        list(["env", list(input.env.map((variable) => list(variable)))]),
        list(["cmd", input.cmd]),
        list(["shell", list(input.shell)]),
        list(["network", list(input.network)]),
        list([
          "mount_secrets",
          list(
            input.secrets.map(({ value, target }) =>
              list([list(["value", fromBytes(value)]), list(["target", target])]),
            ),
          ),
        ]),
      ]),
    ),
  );
}

/**
 * The layer that a `copy` makes. With a destination that is no directory there is one manifest.
 * Yields where it can be interrupted.
 */
export function* makingCopyKey(input: CopyInput): Generator<void, LayerKey> {
  const manifests: List[] = [];
  for (const manifest of input.manifests) manifests.push(yield* sexpOfManifest(manifest));
  const op = input.dst.endsWith("/")
    ? list(["Copy_items", list([list(manifests), input.dst])])
    : list(["Copy_item", list([manifests[0]!, input.dst])]);
  const user = sexpOfUser(input.user);
  return key(
    yield* writingMachine(
      list([list(["base", input.base]), list(["user", user]), list(["op", op])]),
    ),
  );
}

/** Entries of directories from one place where it can be interrupted to the next. */
const ENTRIES = 256;

/** `(File(PATH HASH))`, `(Symlink(PATH TARGET))`, `(Dir(PATH(…)))` */
function* sexpOfManifest(manifest: Manifest): Generator<void, List> {
  switch (manifest.type) {
    case "file":
      return list(["File", list([manifest.path, manifest.hash])]);
    case "symlink":
      return list(["Symlink", list([manifest.path, manifest.target])]);
    case "dir": {
      const entries: List[] = [];
      for (const entry of manifest.entries) {
        entries.push(yield* sexpOfManifest(entry));
        if (entries.length % ENTRIES === 0) yield;
      }
      return list(["Dir", list([manifest.path, list(entries)])]);
    }
  }
}

/** `makingRunKey`, in one go. */
export function runKey(input: RunInput): LayerKey {
  return inOneGo(makingRunKey(input));
}

/** `makingCopyKey`, in one go. */
export function copyKey(input: CopyInput): LayerKey {
  return inOneGo(makingCopyKey(input));
}

function key(hashed: string): LayerKey {
  return { id: createHash("sha256").update(toBytes(hashed)).digest("hex"), hashed };
}
