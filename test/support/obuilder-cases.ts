/*
 * The format of the golden data about builds: types, byte strings in JSON, and directory listings
 * that become real directories.
 */

import { chmodSync, lutimesSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fromBytes } from "../../src/text/bytes.js";

/** Text, or bytes that are no UTF-8. */
export type JsonBytes = string | { readonly base64: string };

export type Pair = readonly [JsonBytes, JsonBytes];

export type ListingEntry =
  | { readonly type: "file"; readonly content: JsonBytes; readonly mode?: string }
  | { readonly type: "dir"; readonly mode?: string }
  | { readonly type: "symlink"; readonly target: JsonBytes };

/** Path → what is there. Parents are implied. */
export type Listing = Readonly<Record<string, ListingEntry>>;

export interface Image {
  readonly env: readonly Pair[];
  readonly rootfs?: Listing;
}

export type LogLine = readonly ["heading" | "note", string];

export interface TarEntry {
  readonly name: JsonBytes;
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** null: the time of the run. */
  readonly mtime: number | null;
  readonly size: number;
  readonly target?: JsonBytes;
}

export interface ExpectedStep {
  readonly kind: "base" | "run" | "copy";
  readonly id: string;
  readonly base?: string;
  readonly hashed: JsonBytes;
  readonly cached: boolean;
  readonly sandbox?: {
    readonly argv: readonly JsonBytes[];
    readonly cwd: JsonBytes;
    readonly user: { readonly uid: number; readonly gid: number } | { readonly name: JsonBytes };
    readonly env: readonly Pair[];
    readonly network: readonly JsonBytes[];
    readonly caches?: readonly { readonly id: JsonBytes; readonly target: JsonBytes }[];
    readonly secrets?: readonly { readonly value: JsonBytes; readonly target: JsonBytes }[];
  };
  readonly tar?: readonly TarEntry[];
}

/** What a build is given, besides the spec. */
export interface Surroundings {
  readonly images?: Readonly<Record<string, Image>>;
  readonly shell?: readonly string[];
  readonly secrets?: readonly Pair[];
  readonly source?: Listing;
}

/** `cases/NAME.json` */
export interface BuildCase extends Surroundings {
  readonly name: string;
  readonly about: string;
  readonly spec: JsonBytes;
  readonly expected: {
    readonly canonical: JsonBytes;
    readonly pretty: JsonBytes;
    readonly log: readonly LogLine[];
    readonly steps: readonly ExpectedStep[];
    readonly result: string;
  };
}

/** An entry of `errors.json` */
export interface ErrorCase extends Surroundings {
  readonly name: string;
  readonly spec: JsonBytes;
  readonly stage: "read" | "spec" | "build";
  readonly kind: "Failure" | "Msg" | "Parse_error" | "Of_sexp_error";
  readonly message: JsonBytes;
  readonly message_file?: JsonBytes;
  readonly about?: JsonBytes;
  readonly line?: number;
  readonly char?: number;
  readonly log?: readonly LogLine[];
}

/** `dockerfile/NAME.json` */
export interface DockerfileCase {
  readonly spec: JsonBytes;
  readonly buildkit: boolean;
  readonly escape: "unix" | "windows";
  readonly output: JsonBytes;
}

export function bytesOf(value: JsonBytes): Buffer {
  return typeof value === "string" ? Buffer.from(value) : Buffer.from(value.base64, "base64");
}

export function textOf(value: JsonBytes): string {
  return fromBytes(bytesOf(value));
}

/** Any JSON value with the byte strings in it as such. */
export function decodeBytes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decodeBytes);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  if (entries.length === 1 && "base64" in value) return textOf(value as JsonBytes);
  return Object.fromEntries(entries.map(([key, inner]) => [key, decodeBytes(inner)]));
}

export function pairsOf(pairs: readonly Pair[]): [string, string][] {
  return pairs.map(([key, value]) => [textOf(key), textOf(value)]);
}

/** The shell of a sandbox that the data says nothing about. */
export const DEFAULT_SHELL = ["/usr/bin/env", "bash", "-c"];

/** Modification time of everything in a listing, in seconds. */
const MTIME = 1_700_000_000;

/** Makes the listing in an existing directory; times are set from the leaves up. */
export function writeListing(root: string, listing: Listing = {}): void {
  const made = new Set([root]);
  const makeDirs = (path: string) => {
    if (made.has(path)) return;
    makeDirs(dirname(path));
    mkdirSync(path, { mode: 0o755 });
    made.add(path);
  };
  for (const [name, entry] of Object.entries(listing)) {
    const path = join(root, name);
    if (entry.type === "dir") {
      makeDirs(path);
      continue;
    }
    makeDirs(dirname(path));
    made.add(path);
    if (entry.type === "symlink") symlinkSync(bytesOf(entry.target), path);
    else writeFileSync(path, bytesOf(entry.content));
  }
  for (const path of [...made].reverse()) {
    const entry = listing[path.slice(root.length + 1)];
    if (entry?.type !== "symlink") {
      const mode = entry?.mode ?? (entry?.type === "file" ? "644" : "755");
      chmodSync(path, Number.parseInt(mode, 8));
    }
    lutimesSync(path, MTIME, MTIME);
  }
}
