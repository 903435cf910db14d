/*
 * The texts of a step, which a sandbox gives to a runtime or an engine: they go there as JSON,
 * which is UTF-8, and end up in the kernel, where a NUL ends them. What is neither would become
 * another command, in another way with each runtime. So it is refused, by name, before anything
 * runs.
 */

import { byteLength, fromBytes, quoted, toBytes } from "../../text/index.js";
import type { SandboxStep } from "../contracts.js";
import { BuildError } from "../errors.js";
import type { CopyOp } from "../spec/spec.js";

/** What `fromBytes` makes of bytes that are no UTF-8, and what it never makes. */
const LONE_SURROGATE = /\p{Cs}/u;

/** The most of a text that a message has. */
const MAX_SHOWN = 60;

/** Throws `BuildError` if a text of the step cannot be handed on as it is. */
export function checkStepText({ argv, cwd, env, caches, secrets }: SandboxStep): void {
  for (const word of argv) check("command", word);
  check("working directory", cwd);
  for (const [key, value] of env) {
    if (key === "") throw new BuildError("The environment has a variable without a name; name it");
    check("name of a variable", key);
    check(`variable ${shown(key)}`, value);
  }
  for (const { target } of caches) check("target of a cache", target);
  for (const { target } of secrets) check("target of a secret", target);
}

/**
 * Throws `BuildError` if a name of a `copy` would end before its end, as names of files do; other
 * bytes are as good as text. `dst` is the destination with the working directory.
 */
export function checkCopyText({ exclude, src }: CopyOp, dst: string): void {
  for (const path of src) refuseNul("source of a copy", path);
  for (const name of exclude) refuseNul("name excluded from a copy", name);
  refuseNul("destination of a copy", dst);
}

function check(what: string, text: string): void {
  refuseNul(what, text);
  const bad = LONE_SURROGATE.exec(text);
  if (bad) {
    const place = byteLength(text.slice(0, bad.index));
    throw new BuildError(
      `The ${what} is no UTF-8, at byte ${place} of ${shown(text)}: ` +
        "have the command make such bytes, with printf '\\351' or the like",
    );
  }
}

function refuseNul(what: string, text: string): void {
  const nul = text.indexOf("\0");
  if (nul < 0) return;
  const place = byteLength(text.slice(0, nul));
  throw new BuildError(
    `The ${what} has a NUL, at byte ${place} of ${shown(text)}: it would end there; leave that out`,
  );
}

function shown(text: string): string {
  const bytes = toBytes(text);
  if (bytes.length <= MAX_SHOWN) return quoted(text);
  return `${quoted(fromBytes(bytes.subarray(0, MAX_SHOWN)))}…`;
}
