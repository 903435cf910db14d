/*
 * What operations do to those that follow: they set where commands run, as whom, with which
 * variables and by which shell. None of this makes a layer; it flows into the ids of later ones.
 */

import { type Env, type KeyValue, type Op, ROOT, type User } from "../spec/spec.js";

export interface Context {
  /** Absolute, but never normalised: `/a/../b//c` is in ids as it was written. */
  readonly workdir: string;
  readonly user: User;
  /** The variable set last comes first; then the image's, in its order. */
  readonly env: Env;
  /** The words before a command. */
  readonly shell: readonly string[];
}

/** How every build starts, nested ones too: none of these values crosses into or out of a build. */
export function initialContext(shell: readonly string[]): Context {
  return { workdir: "/", user: ROOT, env: [], shell };
}

/** The context once the base image, with these variables, is there. */
export function withImageEnv(context: Context, imageEnv: Env): Context {
  return { ...context, env: [...context.env, ...imageEnv] };
}

/** The context behind an operation. */
export function afterOp(context: Context, op: Op): Context {
  switch (op.op) {
    case "workdir":
      return { ...context, workdir: resolveWorkdir(context.workdir, op.path) };
    case "user":
      return { ...context, user: op.user };
    case "env":
      return { ...context, env: setVariable(context.env, op.key, op.value) };
    case "shell":
      return { ...context, shell: op.words };
    case "comment":
    case "run":
    case "copy":
      return context;
  }
}

/** A copy's destination as an absolute path. Windows paths count as relative here. */
export function resolveDestination(workdir: string, dst: string): string {
  return dst.startsWith("/") ? dst : join(workdir, dst);
}

function resolveWorkdir(workdir: string, path: string): string {
  const absolute = path.startsWith("/") || /^[A-Za-z]:[/\\]/.test(path);
  return absolute ? path : join(workdir, path);
}

/** `a` + `/` + `b`, without a second slash where `a` ends with one. Nothing is normalised. */
function join(a: string, b: string): string {
  return a === "" || a.endsWith("/") ? a + b : `${a}/${b}`;
}

/** Of several entries with that key, which only images have, the first one gives way. */
function setVariable(env: Env, key: string, value: string): Env {
  const index = env.findIndex(([name]) => name === key);
  const rest: readonly KeyValue[] = index < 0 ? env : env.toSpliced(index, 1);
  return [[key, value], ...rest];
}
