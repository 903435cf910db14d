/*
 * Variables in the configuration of images.
 */

import { quoted } from "../../text/index.js";
import { failure } from "../errors.js";
import type { KeyValue } from "../spec/spec.js";

/** Splits `K=V` at the first `=`. */
export function parseVariable(variable: string): KeyValue {
  const at = variable.indexOf("=");
  if (at < 0) {
    throw failure(`Invalid environment in Docker image ${quoted(variable)} (should be 'K=V')`);
  }
  return [variable.slice(0, at), variable.slice(at + 1)];
}
