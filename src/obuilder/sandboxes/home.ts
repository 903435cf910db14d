/*
 * HOME of a user whom an image does not know: `/`, as runc has it. crun (1.8) sets no HOME at all
 * for one who is missing from an existing /etc/passwd. What a step sees shall not depend on the
 * runtime, so crun is told.
 *
 * The root belongs to whoever built it: links in it are not followed, and nothing of it runs while
 * this looks at it.
 */

import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxStep } from "../contracts.js";
import { unixUser } from "./oci-config.js";

/** In bytes; far more than any real one has. A larger one is left to the runtime. */
const MAX_SIZE = 1 << 20;

/** The HOME to add to the step's environment, if any. Throws `BuildError` for a Windows user. */
export function missingHome(rootfs: string, step: SandboxStep): string | undefined {
  const { uid } = unixUser(step.user);
  if (step.env.some(([key]) => key === "HOME")) return undefined;
  const etc = join(rootfs, "etc");
  if (!lstatSync(etc, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  const passwd = join(etc, "passwd");
  const stats = lstatSync(passwd, { throwIfNoEntry: false });
  if (!stats?.isFile() || stats.size > MAX_SIZE) return undefined;
  const users = readFileSync(passwd, "latin1").split("\n");
  return users.some((user) => user.split(":")[2] === `${uid}`) ? undefined : "/";
}
