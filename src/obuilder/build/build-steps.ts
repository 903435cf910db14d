/*
 * The walk that builds: each step's layer is found in the store or made there.
 *
 * Which layers a build needs depends on the spec alone: ids are computed from it, step by step, and
 * whoever asks for a layer that is there, or that somebody is just making, gets it (`layers.ts`).
 */

import type { Writable } from "node:stream";
import { Slices, unlessAborted } from "../../async/index.js";
import type { HashMemory } from "../../system/index.js";
import { quoted } from "../../text/index.js";
import type {
  BuildLog,
  CacheMount,
  LayerId,
  Lease,
  RootView,
  Sandbox,
  Store,
} from "../contracts.js";
import { BuildCancelled, BuildError } from "../errors.js";
import type { BaseImages } from "../image/base-images.js";
import { unixUser } from "../sandboxes/oci-config.js";
import { checkCopyText } from "../sandboxes/step-text.js";
import { type CopyOp, ROOT, type RunOp } from "../spec/spec.js";
import { writeArchive } from "./archive.js";
import { resolveDestination } from "./context.js";
import { copyManifests } from "./copy-manifest.js";
import { buildHeading, finishedNote } from "./headings.js";
import { makingCopyKey, makingRunKey } from "./layer-ids.js";
import type { FailedRootReader, Fill, Layers } from "./layers.js";
import { placeCopy } from "./placement.js";
import { runInput, type Secrets } from "./run-input.js";
import type { Base, Position, SpecVisitor } from "./walk.js";

/** What all builds of a builder share. */
export interface SharedParts {
  readonly store: Store;
  readonly sandbox: Sandbox;
  readonly layers: Layers;
  readonly bases: BaseImages;
}

/** One build, nested builds included. */
export interface BuildJob {
  /** Absolute. */
  readonly sourceDir: string;
  readonly log: BuildLog;
  readonly secrets: Secrets;
  readonly memory: HashMemory | undefined;
  readonly signal: AbortSignal | undefined;
  /** See `LayerRequest`. */
  readonly onFailedRoot?: FailedRootReader | undefined;
  /** Keeps a layer from being pruned while the build goes on. */
  pin(id: LayerId): void;
}

export class BuildSteps implements SpecVisitor<LayerId> {
  readonly shell: readonly string[];
  readonly #shared: SharedParts;
  readonly #job: BuildJob;
  readonly #slices: Slices;

  constructor(shared: SharedParts, job: BuildJob) {
    this.shell = shared.sandbox.shell;
    this.#shared = shared;
    this.#job = job;
    this.#slices = new Slices(job.signal);
  }

  async begin(build: string): Promise<void> {
    await this.setting(buildHeading(build));
  }

  async end(build: string): Promise<void> {
    this.#job.log.note(finishedNote(build));
  }

  async from(image: string): Promise<Base<LayerId>> {
    const { id, env } = await this.#shared.bases.get(image, this.#job);
    return { layer: id, env };
  }

  /**
   * Most operations do nothing else: it is here that others get the thread, and that a slow log is
   * waited for.
   */
  async setting(heading: string): Promise<void> {
    const { log, signal } = this.#job;
    const taken = log.heading(heading);
    if (taken) await unlessAborted(taken, signal);
    await this.#slices.turn();
  }

  async run(op: RunOp, { heading, base, context }: Position<LayerId>): Promise<LayerId> {
    await this.setting(heading);
    const { sandbox, store } = this.#shared;
    const input = runInput(op, base, context, this.#job.secrets);
    const { id } = await this.#slices.run(makingRunKey(input));
    return await this.#need(id, base, async (layer, { log, signal }) => {
      const leases: Lease[] = [];
      try {
        const caches: CacheMount[] = [];
        for (const cache of op.cache) {
          if (signal.aborted) throw new BuildCancelled();
          const lease = await store.cache(cache.id, unixUser(context.user));
          leases.push(lease);
          caches.push({ source: lease.path, target: cache.target });
        }
        const { workdir: cwd, user, env, network, secrets } = input;
        const argv = [...input.shell, input.cmd];
        const step = { argv, cwd, user, env, network, caches, secrets };
        await sandbox.run(step, layer, { log, signal });
      } finally {
        for (const lease of leases.reverse()) await lease.release();
      }
    });
  }

  async copy(op: CopyOp, at: Position<LayerId>): Promise<LayerId> {
    const { base, context } = at;
    await this.setting(at.heading);
    const { sandbox } = this.#shared;
    const { user } = context;
    const dst = resolveDestination(context.workdir, op.dst);
    checkCopyText(op, dst);
    // The step may be run for somebody else when this build has been cancelled, so it opens the
    // source for itself.
    const withSource = async <T>(use: (root: string) => Promise<T>): Promise<T> => {
      const source = await this.#copySource(op, at);
      try {
        return await use(source.path);
      } finally {
        await source.release();
      }
    };
    const memory = op.from.from === "context" ? this.#job.memory : undefined;
    const manifests = await withSource((root) =>
      copyManifests({ root, src: op.src, exclude: op.exclude, dst, memory }, this.#job.signal),
    );
    const { id } = await this.#slices.run(makingCopyKey({ base, user, manifests, dst }));
    return await this.#need(id, base, (layer, { log, signal }) =>
      withSource(async (root) => {
        const step = { ...UNPACK, argv: sandbox.tar };
        const input = async (view: RootView) => {
          const placement = await placeCopy({ manifests, dst }, view, signal);
          return (stdin: Writable) => writeArchive({ root, placement, user }, stdin);
        };
        await sandbox.run(step, layer, { log, signal, input });
      }),
    );
  }

  async #copySource({ from }: CopyOp, at: Position<LayerId>): Promise<Lease> {
    if (from.from === "context") return { path: this.#job.sourceDir, release: async () => {} };
    const { store } = this.#shared;
    const id = at.result(from.name);
    if ((await store.result(id)) === undefined) {
      throw new BuildError(`Build result ${quoted(id)} not found`);
    }
    return await store.rootfs(id);
  }

  async #need(id: LayerId, base: LayerId, fill: Fill): Promise<LayerId> {
    const { log, onFailedRoot, pin, signal } = this.#job;
    pin(id);
    const request = { id, base, log, onFailedRoot, ...(signal ? { signal } : {}) };
    await this.#shared.layers.need(request, fill);
    return id;
  }
}

/** Unpacks an archive at the top of the root. */
const UNPACK = {
  cwd: "/",
  user: ROOT,
  env: [["PATH", "/bin:/usr/bin"]],
  network: [],
  caches: [],
  secrets: [],
} as const;
