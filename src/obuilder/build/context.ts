/*
 * What operations do to those that follow: they set where commands run, as whom, with which
 * variables and by which shell. None of this makes a layer; it flows into the ids of later ones.
 */

import { byteLength } from "../../text/index.js";
import { BuildError } from "../errors.js";
import { type Env, type Op, ROOT, type User } from "../spec/spec.js";
import { Variables } from "./variables.js";

export interface Context {
  /** Absolute, but never normalised: `/a/../b//c` is in ids as it was written. */
  readonly workdir: string;
  readonly user: User;
  /** The variable set last comes first; then the image's, in its order. */
  readonly env: Variables;
  /** The words before a command. */
  readonly shell: readonly string[];
}

/** How every build starts, nested ones too: none of these values crosses into or out of a build. */
export function initialContext(shell: readonly string[]): Context {
  return { workdir: "/", user: ROOT, env: new Variables(), shell };
}

/** The context once the base image, with these variables, is there. */
export function withImageEnv(context: Context, imageEnv: Env): Context {
  return { ...context, env: new Variables([...context.env.list, ...imageEnv]) };
}

/** The longest path that the system takes, in bytes. */
const MAX_PATH = 4095;

/**
 * The context behind an operation. Throws `BuildError` for a work directory in which nothing could
 * ever run.
 */
export function afterOp(context: Context, op: Op): Context {
  switch (op.op) {
    case "workdir":
      return { ...context, workdir: resolveWorkdir(context.workdir, op.path) };
    case "user":
      return { ...context, user: op.user };
    case "env":
      return { ...context, env: context.env.with(op.key, op.value) };
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
  const resolved = absolute ? path : join(workdir, path);
  const length = byteLength(resolved);
  if (length <= MAX_PATH) return resolved;
  throw new BuildError(
    `The work directory would have a path of ${length} bytes, and the system takes ${MAX_PATH}; ` +
      "write (workdir /…) to begin at the root",
  );
}

/** `a` + `/` + `b`, without a second slash where `a` ends with one. Nothing is normalised. */
function join(a: string, b: string): string {
  return a === "" || a.endsWith("/") ? a + b : `${a}/${b}`;
}
