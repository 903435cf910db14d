/*
 * The contracts the builder is composed of: a `Store` keeps layers, a `Sandbox` runs a command in a
 * layer's root, a `Fetcher` turns an image's name into a root and its environment. A new backend is
 * one file that implements one of them.
 *
 * Cancellation is by AbortSignal throughout: what is told to stop releases what it holds
 * (processes, mounts, directories) before its promise rejects, so that a rejected promise means
 * "nothing is left".
 */

import type { Writable } from "node:stream";
import type { OverlayMount } from "../system/index.js";
import type { Env, UnixUser, User } from "./spec/spec.js";

/** 64 lower-case hex digits: the SHA-256 of all that a layer depends on. Names a directory. */
export type LayerId = string;

/**
 * What a build tells the one who asked for it, in order. Texts are byte strings (`bytes.ts`)
 * without a line end.
 */
export interface BuildLog {
  /**
   * Introduces an operation: `/src: (run (shell make))`. The build waits for a returned promise.
   */
  heading(text: string): void | Promise<void>;
  /** What the builder did: `---> saved as "…"`. */
  note(text: string): void;
  /**
   * What a step's program printed, as it came. Output waits for a returned promise: a slow reader
   * holds nobody up but itself.
   */
  output(data: Uint8Array): void | Promise<void>;
}

/**
 * Where programs of sandboxes and fetchers print to. A returned promise asks the writer to wait.
 */
export interface LogSink {
  write(data: Uint8Array): void | Promise<void>;
}

/** A layer while it is being made. */
export interface LayerDir {
  readonly id: LayerId;
  /** Absolute path; the root file system is its `rootfs`, image variables go to its `env`. */
  readonly path: string;
  /**
   * If present, `path` is an empty directory for this to be mounted on. The sandbox mounts it where
   * only the step sees it: what is mounted nowhere else cannot stay behind when a process is
   * killed. Base images have none.
   */
  readonly overlay?: OverlayMount;
  /**
   * Where layers are images of a container engine, this one's name. The sandbox runs steps on that
   * image and gives the name to the one that results. A base image may be given it, too, or is
   * unpacked as elsewhere.
   */
  readonly image?: string;
}

/**
 * Something held for its user; `release` must be called once and does not fail because of what the
 * user did.
 */
export interface Lease {
  /**
   * An absolute path, or the name of a volume where the store's layers live in a container engine.
   */
  readonly path: string;
  release(): Promise<void>;
}

/** A saved layer as found in the store when it is opened. */
export interface StoredLayer {
  readonly id: LayerId;
  /** The layer it was made from, where the store can tell. */
  readonly parent?: LayerId;
}

/**
 * Keeps layers, each a directory made from its base, and caches. A layer is either there and
 * complete or not there: it is made in a temporary place and appears under its id at once, on
 * success alone. Whatever a killed process left half-made is removed when the store is opened.
 *
 * The caller (`layers.ts`) never asks for the same id twice at a time, and never for one that is
 * there.
 */
export interface Store {
  /** As the user named it: a path, or a pool. */
  readonly root: string;
  /** Absolute path of the directory for the database and for the sandbox's own state. */
  readonly stateDir: string;

  /**
   * Makes a layer: a writable clone of `base`, or an empty directory with an empty `rootfs` (mode
   * 755), is handed to `fill` and kept under `id` if that succeeds. If it rejects, nothing is kept
   * and the rejection is passed on.
   */
  build(
    id: LayerId,
    base: LayerId | undefined,
    fill: (layer: LayerDir) => Promise<void>,
  ): Promise<void>;

  /**
   * The saved layer's directory, which has `log` and, for a base image, `env`; undefined if there
   * is none.
   */
  result(id: LayerId): Promise<string | undefined>;

  /** Path of the log, while the layer is being made as well as afterwards. */
  logFile(id: LayerId): Promise<string>;

  /**
   * The complete root file system of a saved layer, to read from while the lease is held. Rejects
   * if there is no such layer.
   */
  rootfs(id: LayerId): Promise<Lease>;

  /**
   * The root file system of a layer in the making, as it was left by a step that has failed; to be
   * read from before `fill` rejects, while the lease is held. Undefined where the step's root is
   * gone with it.
   */
  failedRoot(layer: LayerDir): Promise<Lease | undefined>;

  /**
   * Removes a saved layer; nothing happens if there is none. Layers made from it must be gone
   * before.
   */
  delete(id: LayerId): Promise<void>;

  /** Resolves when the space of deleted layers is free, as far as the store can tell. */
  completeDeletes(): Promise<void>;

  /**
   * A private writable copy of the cache, which is made if it does not exist; its top directory
   * belongs to `user`. Of several users at a time, the copy of the first to release becomes the
   * cache, the others are dropped.
   */
  cache(name: string, user: UnixUser): Promise<Lease>;

  /**
   * Removes a cache; copies in use are dropped when they are released. Rejects with `CacheBusy`
   * where the store cannot do that.
   */
  deleteCache(name: string): Promise<void>;

  /** All layers there are. */
  list(): Promise<StoredLayer[]>;

  /**
   * How many bytes of the disk each of these layers takes for itself, in their order; what several
   * share counts for one of them.
   */
  sizes(ids: readonly LayerId[]): Promise<number[]>;

  /** Free space in per cent of all there is. */
  freePercent(): Promise<number>;

  /** Releases what the store itself holds. No build may be running. */
  close(): Promise<void>;
}

/** A command for the sandbox. */
export interface SandboxStep {
  /** Program and arguments; the program is looked up in the step's PATH. */
  readonly argv: readonly string[];
  /** Absolute path in the root. */
  readonly cwd: string;
  readonly user: User;
  /** All of the environment. */
  readonly env: Env;
  /** `[]`: no network; `["host"]`: the host's. Anything else is refused. */
  readonly network: readonly string[];
  readonly caches: readonly CacheMount[];
  /** In the order in which they are mounted. */
  readonly secrets: readonly SecretMount[];
}

/** A cache's lease and where the command sees it. */
export interface CacheMount {
  readonly source: string;
  readonly target: string;
}

/** A file that exists while the command runs. */
export interface SecretMount {
  readonly value: Uint8Array;
  readonly target: string;
}

/** What is at a place in a root. */
export type RootEntry =
  | { readonly kind: "dir" }
  | { readonly kind: "link"; readonly target: string }
  /** A file, a device or the like. */
  | { readonly kind: "other" };

/** A step's root, to be looked at. Paths and targets of links are byte strings (`bytes.ts`). */
export interface RootView {
  /**
   * What is at a path like `usr/lib`, which must not lead through links; undefined if there is
   * nothing. Of a link that is the last component, the link itself.
   */
  entry(path: string): RootEntry | undefined | Promise<RootEntry | undefined>;
}

/** What surrounds a command. */
export interface SandboxIo {
  /**
   * Is shown the root before the command begins, while nothing changes it, and resolves with what
   * then writes the command's standard input; the sandbox ends the stream. If it rejects, the
   * command does not begin, and `run` rejects with the same. Without it there is nothing to read.
   */
  readonly input?: (root: RootView) => Promise<(stdin: Writable) => Promise<void>>;
  /** Standard output and error together. */
  readonly log: LogSink;
  /** Kills the command and all it started. */
  readonly signal: AbortSignal;
}

/** Runs commands in layers that are being made. */
export interface Sandbox {
  /** The words before a command when the spec does not say `(shell …)`. */
  readonly shell: readonly string[];
  /** Unpacks an archive from its standard input into the working directory. */
  readonly tar: readonly string[];

  /**
   * Resolves when the command has ended with status 0 and no process of it is left. Rejects with
   * `BuildError` (`"sh" "-c" "false" failed with exit status 1`) or, when told to stop, with
   * `BuildCancelled`; then, too, no process is left.
   */
  run(step: SandboxStep, layer: LayerDir, io: SandboxIo): Promise<void>;
}

/** Where a fetcher reports its progress, and what stops it. */
export interface FetchIo {
  readonly log: LogSink;
  readonly signal: AbortSignal;
}

/** A base image, ready in a root. */
export interface FetchedImage {
  /** The image's variables, in its order. */
  readonly env: Env;
  /**
   * `sha256:…` of the manifest or, where the engine knows no better, of the image's configuration.
   */
  readonly digest?: string;
}

/** Turns the name of a base image into a root. */
export interface Fetcher {
  /**
   * Whether this fetcher can be asked for `image` now: its programs, engine, directory are there.
   * Does not look into registries.
   */
  canFetch(image: string): Promise<boolean>;

  /**
   * Unpacks the image into `layer.path/rootfs`, which is an empty directory. The signal is for the
   * end of the builder, not of one build.
   */
  fetch(image: string, layer: LayerDir, io: FetchIo): Promise<FetchedImage>;

  /**
   * What `FetchedImage.env` would be, where that can be told without fetching; undefined if the
   * image is not on this machine.
   */
  knownEnv?(image: string): Promise<Env | undefined>;

  /**
   * What `FetchedImage.digest` would be if the image were fetched now; undefined if that cannot be
   * known.
   */
  resolve(image: string, signal: AbortSignal): Promise<string | undefined>;
}
