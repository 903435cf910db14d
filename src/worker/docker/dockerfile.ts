/**
 * A Docker job's Dockerfile: text from the client, or a file in the build context.
 *
 * The context is a stranger's: the file may be a link to somewhere else on this machine, and so may
 * any directory on the way to it. Only plain directories and a plain file in the end will do.
 */
import { lstat, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DockerBuild } from "../../api/index.js";
import { quoted, toBytes } from "../../text/index.js";
import { JobFailed } from "../failure.js";

const DEFAULT_NAME = "Dockerfile";

/**
 * Puts the Dockerfile in its place, and returns its path relative to `src`, the context. Throws
 * `JobFailed`.
 */
export async function placeDockerfile(
  src: string,
  dockerfile: DockerBuild["dockerfile"],
): Promise<string> {
  if ("path" in dockerfile) return checkPath(src, dockerfile.path);
  const path = join(src, DEFAULT_NAME);
  // What the source has there may be a link; writing to it would write elsewhere.
  await rm(path, { force: true, recursive: true });
  await writeFile(path, toBytes(dockerfile.contents), { flag: "wx" });
  return DEFAULT_NAME;
}

async function checkPath(src: string, path: string): Promise<string> {
  if (path === "-") throw new JobFailed("Path cannot be '-'!");
  if (path === "") throw new JobFailed("Empty path!");
  if (path.includes("\0")) throw new JobFailed(`Invalid path ${quoted(path)}!`);
  if (path.startsWith("/")) throw new JobFailed(`${path} is an absolute path!`);
  const segments = path.split("/").filter((segment) => segment !== ".");
  let at = src;
  for (const [index, segment] of segments.entries()) {
    if (segment === "..") throw new JobFailed(`Relative segment in ${path}`);
    if (segment === "") throw new JobFailed(`Empty segment in ${path}!`);
    at = join(at, segment);
    const stat = await lstat(at).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    const isLast = index === segments.length - 1;
    if (!stat) throw new JobFailed(`${quoted(segment)} does not exist (in ${path})`);
    if (isLast ? !stat.isFile() : !stat.isDirectory()) {
      const expected = isLast ? "regular file" : "directory";
      throw new JobFailed(`${quoted(segment)} is not a ${expected} (in ${path})`);
    }
  }
  if (segments.length === 0) throw new JobFailed(`${quoted(path)} is not a regular file`);
  return segments.join("/");
}
