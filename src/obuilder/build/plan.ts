/*
 * What a build would do, found out without doing it: each step's id, and whether the store has its layer.
 *
 * An id may depend on what is not there yet: a `run`'s on the variables of an image that is not on this machine, a copy's
 * from a nested build on files that were not built. Then neither it nor the ids that follow from it are known.
 */

import type { Fetcher, LayerId, Lease, Store } from "../contracts.js";
import { BuildError } from "../errors.js";
import { readImageEnv } from "../image/image-env.js";
import { TagRecords } from "../image/tag-records.js";
import { Scope } from "../spec/scope.js";
import type { CopyOp, RunOp, Spec } from "../spec/spec.js";
import { runInput, type Secrets } from "./builder.js";
import {
  afterOp,
  type Context,
  initialContext,
  resolveDestination,
  withImageEnv,
} from "./context.js";
import { buildHeading, finishedNote, fromHeading, OpHeadings } from "./headings.js";
import { baseKey, copyKey, runKey } from "./layer-ids.js";
import { copyManifests } from "./manifest.js";

export interface PlanRequest {
  readonly store: Store;
  /** Asked for the variables of base images that the store does not have. */
  readonly fetcher: Fetcher;
  readonly spec: Spec;
  /** Absolute. */
  readonly sourceDir: string;
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

/** What is known of a layer that was not made. */
type Known<T> = T | undefined;

interface Position {
  readonly base: Known<LayerId>;
  readonly context: Context;
  /** Whether the context has the image's variables. */
  readonly hasEnv: boolean;
  readonly scope: Scope<Known<LayerId>>;
}

/** The steps of a build, in order. Throws `BuildError` for what would make it fail before a step is run. */
export async function* planBuild(request: PlanRequest): AsyncGenerator<PlanStep> {
  yield* new Planner(request).spec(request.spec);
}

class Planner {
  readonly #request: PlanRequest;
  readonly #headings = new OpHeadings();

  constructor(request: PlanRequest) {
    this.#request = request;
  }

  async *spec(spec: Spec, outer?: Position["scope"]): AsyncGenerator<PlanStep, Known<LayerId>> {
    const scope: Position["scope"] = new Scope(outer);
    for (const { name, spec: child } of spec.children) {
      yield { text: buildHeading(name) };
      scope.set(name, yield* this.spec(child, scope));
      yield { text: finishedNote(name) };
    }
    const { store, fetcher, shell } = this.#request;
    const image = await this.#imageName(spec.from);
    const { id } = baseKey(image);
    yield { text: fromHeading(spec.from), layer: await this.#layer(id) };
    const env = (await readImageEnv(store, id)) ?? (await fetcher.knownEnv?.(image));
    let base: Known<LayerId> = id;
    let context = withImageEnv(initialContext(shell), env ?? []);
    for (const op of spec.ops) {
      const text = this.#headings.of(context.workdir, op);
      if (op.op === "run" || op.op === "copy") {
        base = await this.#step(op, { base, context, hasEnv: env !== undefined, scope });
        yield { text, layer: await this.#layer(base) };
      } else {
        yield { text };
      }
      context = afterOp(context, op);
    }
    return base;
  }

  /** The name by which a build would take the image. */
  async #imageName(image: string): Promise<string> {
    const { store, baseRefresh } = this.#request;
    const record = baseRefresh ? await new TagRecords(store.stateDir).get(image) : undefined;
    return record?.name ?? image;
  }

  async #layer(id: Known<LayerId>): Promise<PlannedLayer> {
    return { id, cached: id !== undefined && (await this.#request.store.result(id)) !== undefined };
  }

  async #step(op: RunOp | CopyOp, position: Position): Promise<Known<LayerId>> {
    const { base, context, hasEnv } = position;
    if (op.op === "copy") return await this.#copy(op, position);
    const input = runInput(op, base ?? "", context, this.#request.secrets);
    return base === undefined || !hasEnv ? undefined : runKey(input).id;
  }

  async #copy(op: CopyOp, { base, context, scope }: Position): Promise<Known<LayerId>> {
    const source = await this.#source(op, scope);
    if (!source) return undefined;
    try {
      const { src, exclude } = op;
      const dst = resolveDestination(context.workdir, op.dst);
      const manifests = await copyManifests({ root: source.path, src, exclude, dst });
      return base === undefined
        ? undefined
        : copyKey({ base, user: context.user, manifests, dst }).id;
    } finally {
      await source.release();
    }
  }

  async #source({ from }: CopyOp, scope: Position["scope"]): Promise<Lease | undefined> {
    const { store, sourceDir } = this.#request;
    if (from.from === "context") return { path: sourceDir, release: async () => {} };
    if (!scope.has(from.name)) throw new BuildError(`Unknown build "${from.name}"`);
    const id = scope.get(from.name);
    if (id === undefined || (await store.result(id)) === undefined) return undefined;
    return await store.rootfs(id);
  }
}
