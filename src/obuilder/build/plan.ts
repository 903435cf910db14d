/*
 * What a build would do, found out without doing it: each step's id, and whether the store has its
 * layer.
 *
 * An id may depend on what is not there yet: a `run`'s on the variables of an image that is not on
 * this machine, a copy's from a nested build on files that were not built. Then neither it nor the
 * ids that follow from it are known.
 */

import type { HashMemory } from "../../system/index.js";
import type { Fetcher, LayerId, Lease, Store } from "../contracts.js";
import { readImageEnv } from "../image/image-env.js";
import { TagRecords } from "../image/tag-records.js";
import type { CopyOp, RunOp, Spec } from "../spec/spec.js";
import { resolveDestination } from "./context.js";
import { copyManifests } from "./copy-manifest.js";
import { buildHeading, finishedNote, fromHeading } from "./headings.js";
import { baseKey, copyKey, runKey } from "./layer-ids.js";
import { runInput, type Secrets } from "./run-input.js";
import { type Base, type Position, type SpecVisitor, walkSpec } from "./walk.js";

export interface PlanRequest {
  readonly store: Store;
  /** Asked for the variables of base images that the store does not have. */
  readonly fetcher: Fetcher;
  readonly spec: Spec;
  /** Absolute. */
  readonly sourceDir: string;
  /** Of the files of `sourceDir`. */
  readonly memory: HashMemory | undefined;
  readonly secrets: Secrets;
  /** The words before a command when the spec does not say. */
  readonly shell: readonly string[];
  /** Whether tags of base images are looked up again from time to time. */
  readonly baseRefresh: boolean;
}

/** One line of the build's log. */
export interface PlanStep {
  readonly text: string;
  /** What comes of it; absent where that is no layer. */
  readonly layer?: PlannedLayer;
}

export interface PlannedLayer {
  /** Undefined if it depends on what is not in the store. */
  readonly id: LayerId | undefined;
  readonly cached: boolean;
}

/** Is given the steps in order; the next one is looked at when what it returns has resolved. */
export type OnStep = (step: PlanStep) => Promise<void>;

/**
 * Goes through the steps of a build. Throws `BuildError` for what would make it fail before a step
 * is run.
 */
export async function planBuild(request: PlanRequest, onStep: OnStep): Promise<void> {
  await walkSpec(request.spec, new Planner(request, onStep));
}

/** What is known of a layer that was not made. */
interface Known {
  readonly id: LayerId | undefined;
  /** Whether the context has the image's variables. */
  readonly hasEnv: boolean;
}

class Planner implements SpecVisitor<Known> {
  readonly shell: readonly string[];
  readonly #request: PlanRequest;
  readonly #onStep: OnStep;

  constructor(request: PlanRequest, onStep: OnStep) {
    this.shell = request.shell;
    this.#request = request;
    this.#onStep = onStep;
  }

  begin(build: string): Promise<void> {
    return this.setting(buildHeading(build));
  }

  end(build: string): Promise<void> {
    return this.setting(finishedNote(build));
  }

  setting(text: string): Promise<void> {
    return this.#onStep({ text });
  }

  async from(image: string): Promise<Base<Known>> {
    const { store, fetcher } = this.#request;
    const name = await this.#imageName(image);
    const { id } = baseKey(name);
    await this.#layer(fromHeading(image), id);
    const env = (await readImageEnv(store, id)) ?? (await fetcher.knownEnv?.(name));
    return { layer: { id, hasEnv: env !== undefined }, env: env ?? [] };
  }

  async run(op: RunOp, { heading, base, context }: Position<Known>): Promise<Known> {
    const input = runInput(op, base.id ?? "", context, this.#request.secrets);
    const id = base.id === undefined || !base.hasEnv ? undefined : runKey(input).id;
    await this.#layer(heading, id);
    return { ...base, id };
  }

  async copy(op: CopyOp, at: Position<Known>): Promise<Known> {
    const id = await this.#copyId(op, at);
    await this.#layer(at.heading, id);
    return { ...at.base, id };
  }

  async #copyId(op: CopyOp, at: Position<Known>): Promise<LayerId | undefined> {
    const source = await this.#source(op, at);
    if (!source) return undefined;
    try {
      const { base, context } = at;
      const { src, exclude } = op;
      const dst = resolveDestination(context.workdir, op.dst);
      const memory = op.from.from === "context" ? this.#request.memory : undefined;
      const manifests = await copyManifests({ root: source.path, src, exclude, dst, memory });
      return base.id === undefined
        ? undefined
        : copyKey({ base: base.id, user: context.user, manifests, dst }).id;
    } finally {
      await source.release();
    }
  }

  async #source({ from }: CopyOp, at: Position<Known>): Promise<Lease | undefined> {
    const { store, sourceDir } = this.#request;
    if (from.from === "context") return { path: sourceDir, release: async () => {} };
    const { id } = at.result(from.name);
    if (id === undefined || (await store.result(id)) === undefined) return undefined;
    return await store.rootfs(id);
  }

  /** The name by which a build would take the image. */
  async #imageName(image: string): Promise<string> {
    const { store, baseRefresh } = this.#request;
    const record = baseRefresh ? await new TagRecords(store.stateDir).get(image) : undefined;
    return record?.name ?? image;
  }

  async #layer(text: string, id: LayerId | undefined): Promise<void> {
    const cached = id !== undefined && (await this.#request.store.result(id)) !== undefined;
    await this.#onStep({ text, layer: { id, cached } });
  }
}
