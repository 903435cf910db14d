/**
 * BuildKit asks for the paths that a Dockerfile copies, and not for where links among them lead to:
 * that only the sender can know. Here the paths become patterns of all that is needed.
 *
 * The paths are patterns themselves. A link is followed inside of the directory: its root is the
 * top, and `..` ends there, so nothing outside is looked at. What would take too long to find out
 * makes it the whole directory, which is never wrong.
 */
import type { Dirent, Stats } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join, posix } from "node:path";
import { IgnoreFile } from "../../text/index.js";

/** Links on one way, as Linux has it: more are a circle. */
const MAX_LINKS = 40;

/** How many ways are looked at, and into how many patterns they may grow. */
const MAX_WAYS = 5000;

/** A path whose first part has been seen to have no links, or none that has not been followed. */
interface Way {
  readonly path: string;
  readonly links: number;
}

/** The patterns for `paths` in the directory `root`, or undefined if everything in it is needed. */
export async function followPaths(
  root: string,
  paths: readonly string[],
): Promise<string[] | undefined> {
  const patterns = new Set<string>();
  const seen = new Set<string>();
  const ways: Way[] = paths.map((path) => ({ path, links: 0 }));
  for (let way = ways.pop(); way; way = ways.pop()) {
    const path = posix.join("/", way.path).slice(1).replace(/\/$/, "");
    if (path === "" || seen.size > MAX_WAYS || ways.length > MAX_WAYS) return undefined;
    if (seen.has(path) || way.links > MAX_LINKS) continue;
    seen.add(path);
    const { further, needed } = await goAlong(root, path.split("/"));
    for (const pattern of needed) patterns.add(pattern);
    for (const { path, isLink } of further) {
      ways.push({ path, links: way.links + (isLink ? 1 : 0) });
    }
  }
  return [...patterns];
}

/**
 * Where a way leads: patterns of what is needed itself, and other ways to go because of links and
 * wildcards.
 */
interface Found {
  readonly needed: readonly string[];
  readonly further: readonly { readonly path: string; readonly isLink: boolean }[];
}

/** A wildcard that is not behind a backslash. */
const WILDCARD = /^(?:[^\\*?[]|\\.)*[*?[]/;

async function goAlong(root: string, parts: readonly string[]): Promise<Found> {
  const names: string[] = [];
  for (const [i, part] of parts.entries()) {
    const rest = parts.slice(i + 1);
    if (WILDCARD.test(part)) return goAlongAll(root, names, part, rest);
    names.push(part.replace(/\\(.)/g, "$1"));
    const stat = await lookAt(join(root, ...names));
    if (stat?.isSymbolicLink()) {
      const path = await followLink(root, names, rest);
      return { needed: [escapePath(names)], further: [{ path, isLink: true }] };
    }
  }
  return { needed: [escapePath(names)], further: [] };
}

/** The ways through what matches `part` in the directory `names`. */
async function goAlongAll(
  root: string,
  names: readonly string[],
  part: string,
  rest: readonly string[],
): Promise<Found> {
  const matches = await matching(join(root, ...names), part);
  const links = matches.filter((entry) => entry.isSymbolicLink());
  const needed = links.map(({ name }) => escapePath([...names, name]));
  const further: { path: string; isLink: boolean }[] = [];
  for (const { name } of links) {
    further.push({ path: await followLink(root, [...names, name], rest), isLink: true });
  }
  if (rest.length === 0) {
    needed.push([...names.map(escapeName), part].join("/"));
    return { needed, further };
  }
  for (const { name } of matches.filter((entry) => entry.isDirectory())) {
    further.push({ path: [escapePath([...names, name]), ...rest].join("/"), isLink: false });
  }
  return { needed, further };
}

/** What is not there, or below what is no directory, is not sent: the engine says so. */
async function lookAt(path: string): Promise<Stats | undefined> {
  return lstat(path).catch(() => undefined);
}

async function matching(directory: string, pattern: string): Promise<Dirent[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const patterns = new IgnoreFile([pattern]);
  return entries.filter(({ name }) => patterns.leavesOut(name) !== undefined);
}

/** The path that the link `names` and `rest` lead to, from the top. */
async function followLink(
  root: string,
  names: readonly string[],
  rest: readonly string[],
): Promise<string> {
  const target = await readlink(join(root, ...names));
  const from = target.startsWith("/") ? [] : names.slice(0, -1);
  return posix.join("/", escapePath(from), escapePath(target.split("/")), ...rest).slice(1);
}

function escapePath(names: readonly string[]): string {
  return names.map(escapeName).join("/");
}

/** A pattern that matches the name alone. */
function escapeName(name: string): string {
  return name.replace(/[*?[\]\\]|^!/g, "\\$&");
}
