/*
 * The walk over a spec: its nested builds, each from its own beginning, then the base image, then
 * one operation after the other in the context that those before have made. What comes of each, the
 * visitor says: `build-steps.ts` makes layers, `plan.ts` finds out which ones would be made.
 */

import { quoted } from "../../text/index.js";
import { BuildError } from "../errors.js";
import { Scope } from "../spec/scope.js";
import type { CopyOp, Env, Op, RunOp, Spec } from "../spec/spec.js";
import { afterOp, type Context, initialContext, withImageEnv } from "./context.js";
import { OpHeadings } from "./headings.js";

/** Where the walk is. `Layer` is what the visitor makes of a step. */
export interface Position<Layer> {
  /** The line of the log that introduces the operation. */
  readonly heading: string;
  /** What came of the steps before. */
  readonly base: Layer;
  readonly context: Context;
  /** What came of a nested build. Throws `BuildError` if none of that name is in scope. */
  result(build: string): Layer;
}

/** A base image and its variables. */
export interface Base<Layer> {
  readonly layer: Layer;
  readonly env: Env;
}

/**
 * Is told of everything in the order of a build's log; the walk goes on when what it returns has
 * resolved.
 */
export interface SpecVisitor<Layer> {
  /** The words before a command when the spec does not say. */
  readonly shell: readonly string[];
  begin(build: string): Promise<void>;
  end(build: string): Promise<void>;
  from(image: string): Promise<Base<Layer>>;
  run(op: RunOp, at: Position<Layer>): Promise<Layer>;
  copy(op: CopyOp, at: Position<Layer>): Promise<Layer>;
  /** An operation that makes no layer. */
  setting(heading: string): Promise<void>;
}

/**
 * Resolves with what comes of the last step. Rejects with what the visitor does, and with
 * `BuildError`.
 */
export function walkSpec<Layer>(spec: Spec, visitor: SpecVisitor<Layer>): Promise<Layer> {
  return new Walk(visitor).spec(spec);
}

class Walk<Layer> {
  readonly #visitor: SpecVisitor<Layer>;
  readonly #headings = new OpHeadings();

  constructor(visitor: SpecVisitor<Layer>) {
    this.#visitor = visitor;
  }

  async spec(spec: Spec, outer?: Scope<Layer>): Promise<Layer> {
    const visitor = this.#visitor;
    const scope = new Scope<Layer>(outer);
    for (const { name, spec: child } of spec.children) {
      await visitor.begin(name);
      scope.set(name, await this.spec(child, scope));
      await visitor.end(name);
    }
    const { layer, env } = await visitor.from(spec.from);
    let base = layer;
    let context = withImageEnv(initialContext(visitor.shell), env);
    const result = (build: string) => lookUp(scope, build);
    for (const op of spec.ops) {
      const heading = this.#headings.of(context.workdir, op);
      base = await this.#op(op, { heading, base, context, result });
      context = afterOp(context, op);
    }
    return base;
  }

  /** The layer after an operation: the base itself unless the operation makes one. */
  async #op(op: Op, at: Position<Layer>): Promise<Layer> {
    switch (op.op) {
      case "run":
        return await this.#visitor.run(op, at);
      case "copy":
        return await this.#visitor.copy(op, at);
      default:
        await this.#visitor.setting(at.heading);
        return at.base;
    }
  }
}

function lookUp<Layer>(scope: Scope<Layer>, build: string): Layer {
  if (!scope.has(build)) throw new BuildError(`Unknown build ${quoted(build)}`);
  return scope.get(build)!;
}
