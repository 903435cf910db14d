/*
 * Builds specs: goes through a spec's operations and makes, or finds, one layer after the other.
 *
 * Which layers a build needs depends on the spec alone: ids are computed from it, step by step, and whoever asks for a
 * layer that is there, or that somebody is just making, gets it (`layers.ts`).
 */

import type { Writable } from "node:stream";
import { Slices, unlessAborted } from "../../async/index.js";
import { quoted } from "../../text/index.js";
import type {
  BuildLog,
  CacheMount,
  Fetcher,
  LayerId,
  Lease,
  RootView,
  Sandbox,
  SecretMount,
  Store,
} from "../contracts.js";
import { BuildCancelled, BuildError, isMachineFailure } from "../errors.js";
import { BaseImages } from "../image/base-images.js";
import { unixUser } from "../sandboxes/oci-config.js";
import { Scope } from "../spec/scope.js";
import { type CopyOp, type Op, ROOT, type RunOp, type Secret, type Spec } from "../spec/spec.js";
import { writeArchive } from "./archive.js";
import {
  afterOp,
  type Context,
  initialContext,
  resolveDestination,
  withImageEnv,
} from "./context.js";
import type { LayerDatabase } from "./database.js";
import { buildHeading, finishedNote, OpHeadings } from "./headings.js";
import { makingCopyKey, makingRunKey, type RunInput } from "./layer-ids.js";
import { type CacheStats, type Fill, Layers, type PruneOptions } from "./layers.js";
import { copyManifests } from "./manifest.js";
import { placeCopy } from "./placement.js";

export interface BuilderParts {
  readonly store: Store;
  readonly sandbox: Sandbox;
  readonly fetcher: Fetcher;
  readonly database: LayerDatabase;
  /** Age in ms at which a base image's tag is looked up again; undefined: never. */
  readonly baseRefresh?: number | undefined;
  /** Called when the builder has been closed, to close its parts. */
  readonly onClose?: () => Promise<void>;
}

/** Values of secrets by their ids. If an id is given twice, the first one counts. */
export type Secrets = readonly (readonly [id: string, value: Uint8Array])[];

export interface BuildRequest {
  readonly spec: Spec;
  /** Absolute path of the directory that `(copy (from context) …)` reads. It must stay until the build has ended. */
  readonly sourceDir: string;
  readonly log: BuildLog;
  readonly secrets?: Secrets;
  /** Cancels the build; steps that others have asked for as well go on. */
  readonly signal?: AbortSignal;
}

/** One build, nested builds included. */
interface Job {
  readonly sourceDir: string;
  readonly log: BuildLog;
  readonly secrets: Secrets;
  readonly signal: AbortSignal | undefined;
  readonly headings: OpHeadings;
  readonly slices: Slices;
  pin(id: LayerId): void;
}

/** What an operation finds when it is its turn. */
interface Position {
  readonly base: LayerId;
  readonly context: Context;
  /** Results of nested builds. */
  readonly scope: Scope<LayerId>;
}

export class Builder {
  readonly #store: Store;
  readonly #sandbox: Sandbox;
  readonly #database: LayerDatabase;
  readonly #onClose: () => Promise<void>;
  readonly #layers: Layers;
  readonly #bases: BaseImages;

  constructor({ store, sandbox, fetcher, database, baseRefresh, onClose }: BuilderParts) {
    this.#onClose = onClose ?? (async () => {});
    this.#store = store;
    this.#database = database;
    this.#sandbox = sandbox;
    this.#layers = new Layers(store, database);
    this.#bases = new BaseImages({
      store,
      layers: this.#layers,
      fetcher,
      refreshAfter: baseRefresh,
    });
  }

  /**
   * Resolves with the id of the last layer. Rejects with `BuildError`, whose message is for the user, or with
   * `BuildCancelled` as soon as the signal is aborted.
   */
  async build({ spec, sourceDir, log, secrets = [], signal }: BuildRequest): Promise<LayerId> {
    const pins = new Pins(this.#layers);
    try {
      const headings = new OpHeadings();
      const slices = new Slices(signal);
      const job = { sourceDir, log, secrets, signal, headings, slices, pin: pins.add };
      return await this.#build(job, spec);
    } catch (error) {
      throw signal?.aborted ? new BuildCancelled() : asBuildError(error);
    } finally {
      pins.release();
    }
  }

  /** Finds or imports a base image, so that a build does not have to. Rejects like `build`. */
  async importImage(image: string, signal?: AbortSignal): Promise<void> {
    const pins = new Pins(this.#layers);
    try {
      await this.#bases.get(image, { log: SILENT, signal, pin: pins.add });
    } catch (error) {
      throw signal?.aborted ? new BuildCancelled() : asBuildError(error);
    } finally {
      pins.release();
    }
  }

  /**
   * Removes a layer and, first, all that were made from it; `onDelete` is told of each before it goes. A layer that is
   * not known is looked for on the disk anyway. Resolves with whether it was known. Rejects with `BuildError` if a running
   * build uses one of them.
   */
  delete(id: LayerId, onDelete?: (id: LayerId) => void): Promise<boolean> {
    return this.#layers.delete(id, onDelete);
  }

  /** Removes layers that have been unused for longest, but none that a running build needs; resolves with their number. */
  prune(options: PruneOptions): Promise<number> {
    return this.#layers.prune(options);
  }

  /** Removes a cache. Rejects with `CacheBusy` if it is in use and the store cannot take it away. */
  deleteCache(name: string): Promise<void> {
    return this.#store.deleteCache(name);
  }

  /** Free space of the store in per cent. */
  freePercent(): Promise<number> {
    return this.#store.freePercent();
  }

  /** Number of layers. */
  count(): number {
    return this.#database.count();
  }

  /** How many layers were found in the store and how many had to be made, since it was opened. */
  get stats(): CacheStats {
    return this.#layers.stats;
  }

  /** Cancels what is running, and waits until it has ended. */
  async close(): Promise<void> {
    await this.#layers.close();
    await this.#onClose();
  }

  async #build(job: Job, spec: Spec, outer?: Scope<LayerId>): Promise<LayerId> {
    const scope = new Scope<LayerId>(outer);
    for (const { name, spec: child } of spec.children) {
      await this.#heading(job, buildHeading(name));
      scope.set(name, await this.#build(job, child, scope));
      job.log.note(finishedNote(name));
    }
    const image = await this.#bases.get(spec.from, job);
    let base = image.id;
    let context = withImageEnv(initialContext(this.#sandbox.shell), image.env);
    for (const op of spec.ops) {
      await this.#heading(job, job.headings.of(context.workdir, op));
      base = await this.#step(job, op, { base, context, scope });
      context = afterOp(context, op);
    }
    return base;
  }

  /** Most operations do nothing else: it is here that others get the thread, and that a slow log is waited for. */
  async #heading({ log, signal, slices }: Job, text: string): Promise<void> {
    const taken = log.heading(text);
    if (taken) await unlessAborted(taken, signal);
    await slices.turn();
  }

  /** The layer after an operation: the base itself unless the operation makes one. */
  async #step(job: Job, op: Op, position: Position): Promise<LayerId> {
    switch (op.op) {
      case "run":
        return await this.#run(job, op, position);
      case "copy":
        return await this.#copy(job, op, position);
      default:
        return position.base;
    }
  }

  async #run(job: Job, op: RunOp, { base, context }: Position): Promise<LayerId> {
    const input = runInput(op, base, context, job.secrets);
    const { id } = await job.slices.run(makingRunKey(input));
    const fill: Fill = async (layer, { log, signal }) => {
      const leases: Lease[] = [];
      try {
        const caches: CacheMount[] = [];
        for (const cache of op.cache) {
          const lease = await this.#store.cache(cache.id, unixUser(context.user));
          leases.push(lease);
          caches.push({ source: lease.path, target: cache.target });
        }
        const { workdir: cwd, user, env, network, secrets } = input;
        const argv = [...input.shell, input.cmd];
        const step = { argv, cwd, user, env, network, caches, secrets };
        await this.#sandbox.run(step, layer, { log, signal });
      } finally {
        for (const lease of leases.reverse()) await lease.release();
      }
    };
    return await this.#need(job, id, base, fill);
  }

  async #copy(job: Job, op: CopyOp, { base, context, scope }: Position): Promise<LayerId> {
    const { user } = context;
    const dst = resolveDestination(context.workdir, op.dst);
    // The step may be run for somebody else when this build has been cancelled, so it opens the source for itself.
    const withSource = async <T>(use: (root: string) => Promise<T>): Promise<T> => {
      const source = await this.#copySource(job, op, scope);
      try {
        return await use(source.path);
      } finally {
        await source.release();
      }
    };
    const manifests = await withSource((root) =>
      copyManifests({ root, src: op.src, exclude: op.exclude, dst }, job.signal),
    );
    const { id } = await job.slices.run(makingCopyKey({ base, user, manifests, dst }));
    return await this.#need(job, id, base, (layer, { log, signal }) =>
      withSource(async (root) => {
        const step = { ...UNPACK, argv: this.#sandbox.tar };
        const input = async (view: RootView) => {
          const placement = await placeCopy({ manifests, dst }, view, signal);
          return (stdin: Writable) => writeArchive({ root, placement, user }, stdin);
        };
        await this.#sandbox.run(step, layer, { log, signal, input });
      }),
    );
  }

  async #copySource(job: Job, { from }: CopyOp, scope: Scope<LayerId>): Promise<Lease> {
    if (from.from === "context") return { path: job.sourceDir, release: async () => {} };
    const id = scope.get(from.name);
    if (id === undefined) throw new BuildError(`Unknown build ${quoted(from.name)}`);
    if ((await this.#store.result(id)) === undefined) {
      throw new BuildError(`Build result ${quoted(id)} not found`);
    }
    return await this.#store.rootfs(id);
  }

  async #need(job: Job, id: LayerId, base: LayerId, fill: Fill): Promise<LayerId> {
    job.pin(id);
    const { log, signal } = job;
    await this.#layers.need({ id, base, log, ...(signal ? { signal } : {}) }, fill);
    return id;
  }
}

/** The layers that one build keeps from being pruned. */
class Pins {
  readonly #layers: Layers;
  readonly #ids: LayerId[] = [];

  constructor(layers: Layers) {
    this.#layers = layers;
  }

  readonly add = (id: LayerId): void => {
    this.#layers.pin(id);
    this.#ids.push(id);
  };

  release(): void {
    for (const id of this.#ids.splice(0)) this.#layers.unpin(id);
  }
}

const SILENT: BuildLog = { heading() {}, note() {}, output() {} };

/** Unpacks an archive at the top of the root. */
const UNPACK = {
  cwd: "/",
  user: ROOT,
  env: [["PATH", "/bin:/usr/bin"]],
  network: [],
  caches: [],
  secrets: [],
} as const;

/** All that a `run`'s layer depends on. Throws `BuildError` if a secret has no value. */
export function runInput(op: RunOp, base: LayerId, context: Context, secrets: Secrets): RunInput {
  const { workdir, user, shell } = context;
  const env = context.env.list;
  // The first value that was given counts.
  const values = new Map(secrets.toReversed());
  const mounts = op.secrets.map((secret) => secretMount(secret, values)).reverse();
  return { base, workdir, user, env, cmd: op.shell, shell, network: op.network, secrets: mounts };
}

function secretMount({ id, target }: Secret, values: ReadonlyMap<string, Uint8Array>): SecretMount {
  const value = values.get(id);
  if (!value) throw new BuildError(`Couldn't find value for requested secret '${id}'`);
  return { value, target };
}

/** What is wrong with the machine is the user's concern as well; anything else is a bug. */
function asBuildError(error: unknown): unknown {
  if (error instanceof BuildError || error instanceof BuildCancelled) return error;
  const system = error instanceof Error && "code" in error && "syscall" in error;
  if (system || isMachineFailure(error)) return new BuildError((error as Error).message);
  return error;
}
