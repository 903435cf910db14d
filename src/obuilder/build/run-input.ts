/*
 * What the layer of a `run` depends on.
 */

import type { LayerId, SecretMount } from "../contracts.js";
import { BuildError } from "../errors.js";
import type { RunOp, Secret } from "../spec/spec.js";
import type { Context } from "./context.js";
import type { RunInput } from "./layer-ids.js";

/** Values of secrets by their ids. If an id is given twice, the first one counts. */
export type Secrets = readonly (readonly [id: string, value: Uint8Array])[];

/**
 * Caches and secrets of one step. Each cache is a mount of its own, looked for in all that are
 * mounted before it.
 */
const MAX_MOUNTS = 1000;

/**
 * All that a `run`'s layer depends on. Throws `BuildError` if a secret has no value, and for far
 * too many mounts.
 */
export function runInput(op: RunOp, base: LayerId, context: Context, secrets: Secrets): RunInput {
  if (op.cache.length + op.secrets.length > MAX_MOUNTS)
    throw new BuildError(`A step has more than ${MAX_MOUNTS} caches and secrets; use fewer`);
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
