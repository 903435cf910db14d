/*
 * The stages of a Dockerfile, and the images that are copied from as if they were some: by what
 * they are called, and which of them needs which.
 */

import type { Op } from "../spec/spec.js";
import type { NamedStage } from "./assemble.js";
import { stageContext, UNKNOWN_CONTEXT } from "./build-context.js";
import type { CopySource } from "./copy-job.js";
import { InstructionError } from "./errors.js";
import { helperRun, helperSettings, type Stage } from "./stage.js";

/** Operations that stages take over from those that they continue. */
const MAX_REPEATED = 100_000;

export class Stages {
  readonly #stages: NamedStage[] = [];
  readonly #byName = new Map<string, NamedStage>();
  /** Builds of nothing but an image, for `COPY --from=IMAGE`, with commands for what is copied. */
  readonly #images = new Map<string, Op[]>();
  #repeated = 0;

  get all(): readonly NamedStage[] {
    return this.#stages;
  }

  get images(): ReadonlyMap<string, readonly Op[]> {
    return this.#images;
  }

  get current(): NamedStage | undefined {
    return this.#stages.at(-1);
  }

  named(name: string): NamedStage | undefined {
    return this.#byName.get(name.toLowerCase());
  }

  /** By name, else by number; the last one if none is named. */
  target(name: string | undefined): NamedStage | undefined {
    if (name === undefined) return this.current;
    return this.named(name) ?? (/^\d+$/.test(name) ? this.#stages[Number(name)] : undefined);
  }

  /** The stage that another begins with, which continues it unless that would be too much. */
  continued({ stage, triggers }: NamedStage): Stage | undefined {
    this.#repeated += stage.ops.length + triggers.length + Math.ceil(stage.paths.size / 10);
    return this.#repeated <= MAX_REPEATED ? stage.continued() : undefined;
  }

  /**
   * Adds a stage. Throws `InstructionError`, when it is added, if it cannot be called so or there
   * are too many.
   */
  add(stage: Stage, alias: string | undefined, parent: NamedStage | undefined): NamedStage {
    const name = alias ?? this.#stages.length.toString();
    const isDuplicate = alias !== undefined && this.#byName.has(name);
    const named = { name, stage, triggers: [], uses: new Set(parent?.uses) };
    this.#stages.push(named);
    if (alias !== undefined) this.#byName.set(name, named);
    if (isDuplicate) throw new InstructionError(`there is a stage ${name} already`);
    if (this.#repeated > MAX_REPEATED) {
      throw new InstructionError(
        `stages that continue others repeat more than ${MAX_REPEATED} operations`,
      );
    }
    return named;
  }

  /**
   * What `--from=NAME` in the current stage means: a stage by its name or number, else an image.
   */
  source(name: string): CopySource {
    if (name === "") throw new InstructionError("--from needs the name of a stage or image");
    const last = this.#stages.length - 1;
    const named = this.named(name);
    const byNumber = /^\d+$/.test(name) && Number(name) < last && this.#stages[Number(name)];
    const source = named && named !== this.#stages[last] ? named : byNumber || undefined;
    this.#stages[last]!.uses.add(source?.name ?? name);
    const from = { from: "build", name: source?.name ?? name } as const;
    if (source) {
      const { stage } = source;
      const help = (command: string) => stage.helpSource(command);
      return { from, context: stageContext(stage.paths), root: stage.root, help };
    }
    const ops = this.#images.get(name) ?? [];
    this.#images.set(name, ops);
    const help = (command: string) => {
      if (ops.length === 0) ops.push(...helperSettings());
      ops.push(helperRun(command));
    };
    return { from, context: UNKNOWN_CONTEXT, root: "", help };
  }
}
