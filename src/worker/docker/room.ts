/**
 * How much room there is where a Docker engine keeps images and build cache.
 */
import { readFile, statfs } from "node:fs/promises";
import { join } from "node:path";
import type Docker from "dockerode";
import { logger } from "../../console/index.js";

const log = logger("worker");

/** When there is too little room. */
export type RoomRule =
  /**
   * Less than that many per cent of the blocks or inodes are free where the engine keeps images.
   */
  | { readonly minFreePercent: number }
  /** Images take more than that many GB (10^9 bytes), as `docker system df` counts them. */
  | { readonly maxImagesGb: number };

/** So many per cent more are made free, so that the next job does not need more again. */
const MARGIN = 5;

/** What there is to be after pruning: more than what is enough to go on. */
export function withMargin(rule: RoomRule): RoomRule {
  if ("maxImagesGb" in rule) return { maxImagesGb: rule.maxImagesGb * (1 - MARGIN / 100) };
  const { minFreePercent } = rule;
  // Near the top a whole margin would be all that there is.
  return { minFreePercent: minFreePercent + Math.min(MARGIN, (100 - minFreePercent) / 2) };
}

/**
 * How many bytes too much there are at least; 0 if there is room. Rejects with dockerode's and the
 * system's errors. Engines with very many images take minutes to add them up.
 */
export async function excess(docker: Docker, rule: RoomRule): Promise<number> {
  return "maxImagesGb" in rule
    ? Math.max(0, (await imagesSize(docker)) - rule.maxImagesGb * 1e9)
    : await lackOfSpace(docker, rule.minFreePercent);
}

/** Space that images take, in bytes. */
async function imagesSize(docker: Docker): Promise<number> {
  const { LayersSize = 0 } = (await docker.df()) as { readonly LayersSize?: number };
  log.info(`Docker images take up ${(LayersSize / 1e9).toFixed(2)}GB`);
  return LayersSize;
}

/**
 * By the scarcest of the file systems where the engine keeps images: bytes that lack there, or 1
 * where it is inodes.
 */
async function lackOfSpace(docker: Docker, minFree: number): Promise<number> {
  let most = 0;
  for (const directory of await imageDirectories(docker)) {
    const { bavail, bfree, blocks, bsize, ffree, files } = await statfs(directory);
    const freeBlocks = percent(bavail, blocks - bfree);
    // File systems that make inodes as needed say that there are none.
    const freeFiles = files === 0 ? 100 : percent(ffree, files - ffree);
    log.info(
      `Docker partition: ${freeBlocks.toFixed(0)}% free blocks, ${freeFiles.toFixed(0)}% free files (${directory})`,
    );
    if (freeFiles < minFree) most = Math.max(most, 1);
    if (freeBlocks >= minFree) continue;
    const all = (bavail + blocks - bfree) * bsize;
    most = Math.max(most, Math.ceil(((minFree - freeBlocks) / 100) * all));
  }
  return most;
}

/** What is available, of that and what is used: like df(1), without what is reserved for root. */
function percent(available: number, used: number): number {
  return (100 * available) / (available + used);
}

interface EngineInfo {
  readonly DockerRootDir: string;
  readonly DriverStatus?: readonly (readonly [string, string])[] | null;
}

const CONTAINERD_CONFIG = "/etc/containerd/config.toml";
const CONTAINERD_ROOT = "/var/lib/containerd";

/**
 * The engine's own directory and, if it leaves images to containerd, that one's, which can be on
 * another disk.
 */
export async function imageDirectories(docker: Docker): Promise<string[]> {
  const { DockerRootDir, DriverStatus } = (await docker.info()) as EngineInfo;
  const snapshotter = (DriverStatus ?? []).some(([, value]) =>
    value.includes("containerd.snapshotter"),
  );
  if (!snapshotter) return [DockerRootDir];
  // One that the engine has started for itself lives below its directory; else it is the system's.
  const candidates = [join(DockerRootDir, "containerd/daemon"), await containerdRoot()];
  const existing: string[] = [];
  for (const directory of candidates) {
    if (
      await statfs(directory).then(
        () => true,
        () => false,
      )
    )
      existing.push(directory);
  }
  return [DockerRootDir, ...existing];
}

async function containerdRoot(): Promise<string> {
  const config = await readFile(CONTAINERD_CONFIG, "utf8").catch(() => "");
  return /^root\s*=\s*["'](.+)["']/m.exec(config)?.[1] ?? CONTAINERD_ROOT;
}
