/*
 * Puts the stages of a Dockerfile together: the wanted one becomes the spec, those that it copies
 * from nested builds.
 */

import type { ChildBuild, Op, Spec } from "../spec/spec.js";
import type { Instruction } from "./parser.js";
import type { Stage } from "./stage.js";

export interface NamedStage {
  readonly name: string;
  readonly stage: Stage;
  /** ONBUILD: what stages that continue this one begin with. */
  readonly triggers: Instruction[];
  /** Names of the builds it copies from. */
  readonly uses: Set<string>;
}

/**
 * The spec of a stage, after those it needs in the order of the Dockerfile. `images` are the builds
 * of nothing but an image and maybe commands of the spec's own, for `COPY --from=IMAGE`.
 */
export function assemble(
  target: NamedStage,
  stages: readonly NamedStage[],
  images: ReadonlyMap<string, readonly Op[]>,
): Spec {
  const needed = new Set(target.uses);
  for (const { name, uses } of stages.toReversed()) {
    if (needed.has(name)) for (const use of uses) needed.add(use);
  }
  const ofImages = [...images]
    .filter(([image]) => needed.has(image))
    .map(([image, ops]): ChildBuild => ({ name: image, spec: { children: [], from: image, ops } }));
  const ofStages = stages
    .filter(({ name }) => needed.has(name))
    .map(
      ({ name, stage }): ChildBuild => ({
        name,
        spec: { children: [], from: stage.image, ops: stage.opsAsSource },
      }),
    );
  const { image: from, ops } = target.stage;
  return { children: [...ofImages, ...ofStages], from, ops };
}
