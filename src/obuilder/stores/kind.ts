/*
 * What a kind of store is: the word before the colon in `overlayfs:/path`, what may stand behind
 * it, and the file that has the rest. This much is all that `--help` needs, so nothing is loaded
 * here: the rest is when a store is opened.
 */

import { isAbsolute, normalize, resolve } from "node:path";
import type { DockerEngine } from "../../docker/index.js";
import type { RsyncMode } from "../choices.js";
import type { Store } from "../contracts.js";
import type { DockerNames } from "./docker-names.js";

export interface StoreKind {
  /** Lower-case letters. */
  readonly name: string;
  readonly place: Place;
  /** Imports the file of the kind, which exports its driver. */
  load(): Promise<{ readonly driver: StoreDriver }>;
}

/** What users write behind the colon to say where a store is. */
export interface Place {
  /** As messages show it. */
  readonly example: string;
  /** What drivers are given; undefined if the text names no place. */
  parse(text: string): string | undefined;
}

/** A directory by its absolute path. */
export const ABSOLUTE_PATH: Place = {
  example: "/path",
  parse: (text) => (isAbsolute(text) ? normalize(text).replace(/(?<=.)\/+$/, "") : undefined),
};

/** A directory; a relative path is taken from the working directory. */
export const ANY_PATH: Place = {
  example: "/path",
  parse: (text) => (text === "" ? undefined : resolve(text)),
};

/** A pool by its name, with an optional directory before it. */
export const POOL: Place = {
  example: "pool",
  parse: (text) => (text === "" || text.endsWith("/") ? undefined : text),
};

/** Opens stores of one kind. `place` is what the kind's `parse` gave. */
export interface StoreDriver {
  /** Whether it needs the mode of `--rsync-mode`; others must not be given one. */
  readonly takesRsyncMode?: true;

  /**
   * The store's directory, whose `state` has lock and database. By default the place is its path.
   */
  directory?(place: string): string;

  /**
   * Makes the directory and its `state` where that takes more than mkdir(2). Throws `StoreError`.
   */
  prepare?(place: string): Promise<void>;

  /**
   * Opens the store, or makes it in its directory, which has `state` and is locked for this
   * process. Removes what a killed one left in the making. Throws `StoreError`.
   */
  open(place: string, rsyncMode: RsyncMode | undefined): Promise<StoreParts>;

  /**
   * A store to be looked at only: another process may be using it. Throws `StoreError` if it is not
   * there.
   */
  inspect(place: string): Promise<StoreParts>;
}

/** A store, and what those who work in it must know of its kind. */
export interface StoreParts {
  readonly store: Store;
  /**
   * If layers are images of a Docker engine: steps are its containers, and base images can stay
   * where they are.
   */
  readonly docker?: { readonly engine: DockerEngine; readonly names: DockerNames };
}

/** `overlayfs:/path, zfs:pool or docker:/path` */
export function examplesOf(kinds: readonly StoreKind[]): string {
  return orList(kinds.map(({ name, place }) => `${name}:${place.example}`));
}

/** The same for the help of options: `zfs:POOL, or overlayfs: or docker: and a path`. */
export function helpOf(kinds: readonly StoreKind[]): string {
  const isPool = ({ place }: StoreKind) => place === POOL;
  const pools = kinds.filter(isPool).map(({ name }) => `${name}:POOL`);
  const paths = kinds.filter((kind) => !isPool(kind)).map(({ name }) => `${name}:`);
  return [...pools, `or ${orList(paths)} and a path`].join(", ");
}

/** `a, b or c` */
function orList(words: readonly string[]): string {
  const [last = "", ...before] = words.toReversed();
  return before.length === 0 ? last : `${before.reverse().join(", ")} or ${last}`;
}
