/**
 * Makes room in a Docker engine: what no container uses goes, the longest unused first, until there
 * is enough. What stays need not be pulled or built again.
 *
 * The engine says of build cache when it was used last. Of an image it says when it was tagged
 * last, which is when it was pulled or built, and when it was made: the later one counts. What
 * an item takes is an upper bound of what it frees, as images share layers; so it is looked at anew
 * when what went could have been enough, and not more goes than has to, but for one item.
 *
 * Jobs must not run meanwhile.
 */
import { text } from "node:stream/consumers";
import type Docker from "dockerode";
import { EngineError, engineError } from "../../docker/index.js";
import { postForStream } from "./engine.js";

/** Something that can be removed. */
interface Item {
  readonly kind: "image" | "cache";
  /** When it was last used as far as is known, in ms since the Unix epoch. */
  readonly usedAt: number;
  /** Bytes that it frees at most. */
  readonly size: number;
  remove(): Promise<void>;
}

/** In how many groups records of the build cache go: there can be thousands of them. */
const CACHE_GROUPS = 32;

export interface Pruned {
  /** Images, and groups of records of the build cache, that went. */
  readonly items: number;
  /** There is nothing more that could go. */
  readonly isAll: boolean;
}

/**
 * @param excess how many bytes too much there are at least; 0: there is room. Rejects with
 * dockerode's errors, those of the function, and the signal's reason.
 */
export async function pruneDocker(
  docker: Docker,
  excess: () => Promise<number>,
  signal: AbortSignal,
): Promise<Pruned> {
  await docker.pruneContainers({ abortSignal: signal });
  await docker.pruneNetworks({ abortSignal: signal });
  let left = await excess();
  if (left === 0) return { items: 0, isAll: false };
  let items = 0;
  for (const item of await itemsOf(docker, signal)) {
    signal.throwIfAborted();
    await item.remove();
    items++;
    left -= item.size;
    if (left > 0) continue;
    left = await excess();
    if (left === 0) return { items, isAll: false };
  }
  if ((await excess()) === 0) return { items, isAll: false };
  // Whatever could not be told apart.
  await docker.pruneImages({ filters: { dangling: ["false"] }, abortSignal: signal });
  await pruneCache(docker, {}, signal);
  return { items, isAll: true };
}

/** The longest unused first. */
async function itemsOf(docker: Docker, signal: AbortSignal): Promise<Item[]> {
  const items = [...(await images(docker, signal)), ...(await cache(docker, signal))];
  return items.sort((a, b) => a.usedAt - b.usedAt);
}

async function images(docker: Docker, signal: AbortSignal): Promise<Item[]> {
  const containers = await docker.listContainers({ all: true });
  const used = new Set(containers.map(({ ImageID }) => ImageID));
  const items: Item[] = [];
  for (const { Id, Size } of await docker.listImages()) {
    signal.throwIfAborted();
    if (used.has(Id)) continue;
    const found = await unlessGone(docker.getImage(Id).inspect());
    if (!found) continue;
    const { Created, Metadata, RepoTags } = found as Docker.ImageInspectInfo & {
      readonly Metadata?: { readonly LastTagTime?: string };
    };
    items.push({
      kind: "image",
      usedAt: Math.max(moment(Created), moment(Metadata?.LastTagTime)),
      size: Size,
      remove: () => removeImage(docker, Id, RepoTags ?? []),
    });
  }
  return items;
}

/** One of several names cannot be removed by its id. Another image may be made from it. */
async function removeImage(docker: Docker, id: string, names: readonly string[]): Promise<void> {
  for (const name of [...names, id]) await unlessGone(docker.getImage(name).remove());
}

interface CacheRecord {
  readonly InUse: boolean;
  readonly Size: number;
  readonly CreatedAt: string;
  readonly LastUsedAt?: string | null;
}

async function cache(docker: Docker, signal: AbortSignal): Promise<Item[]> {
  const { BuildCache } = (await docker.df()) as { readonly BuildCache?: CacheRecord[] | null };
  const records = (BuildCache ?? [])
    .filter(({ InUse }) => !InUse)
    .map((record) => ({
      size: record.Size,
      usedAt: Math.max(moment(record.CreatedAt), moment(record.LastUsedAt)),
    }))
    .sort((a, b) => a.usedAt - b.usedAt);
  const items: Item[] = [];
  const each = Math.ceil(records.length / CACHE_GROUPS);
  for (let at = 0; at < records.length; at += each) {
    const group = records.slice(at, at + each);
    const { usedAt } = group.at(-1)!;
    items.push({
      kind: "cache",
      usedAt,
      size: group.reduce((sum, { size }) => sum + size, 0),
      remove: () => {
        const unusedFor = Math.max(0, Math.floor((Date.now() - usedAt) / 1000));
        return pruneCache(docker, { until: [`${unusedFor}s`] }, signal);
      },
    });
  }
  return items;
}

/** `until`: only what was not used for so long, as Go writes a duration. */
async function pruneCache(
  docker: Docker,
  filters: { readonly until?: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  const query = { all: "true", filters: JSON.stringify(filters) };
  await text(await postForStream(docker, { path: "/build/prune", query, signal }));
}

/** In ms since the Unix epoch; 0 for none, such as Go's zero time. */
function moment(text: string | null | undefined): number {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) || ms < 0 ? 0 : ms;
}

const GONE = 404;
const IN_USE = 409;

/** The answer; undefined if what it was about is gone, or is still used. */
async function unlessGone<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    const known = engineError(error);
    const status = known instanceof EngineError ? known.status : undefined;
    if (status === GONE || status === IN_USE) return undefined;
    throw error;
  }
}
