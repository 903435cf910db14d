/**
 * Room for images: looked at before each job. When there is too little, the worker finishes its
 * jobs, prunes all that no container uses, and goes on; if that does not help it stays out of
 * service and tries again every hour.
 */
import { readFile, statfs } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type Docker from "dockerode";
import { sleep, unlessAborted } from "../../async/index.js";
import { logger } from "../../console/index.js";
import type { Capacity } from "../capacity.js";
import type { WorkerMetrics } from "../metrics.js";
import type { Gate, QueueSwitch } from "../session.js";
import { postForStream } from "./engine.js";

const log = logger("worker");

/** When there is too little room. */
export type RoomRule =
  /**
   * Less than that many per cent of the blocks or inodes are free where the engine keeps images.
   */
  | { readonly minFreePercent: number }
  /** Images take more than that many GB (10^9 bytes), as `docker system df` counts them. */
  | { readonly maxImagesGb: number };

export interface DiskGateOptions {
  readonly docker: Docker;
  readonly rule: RoomRule;
  readonly capacity: Capacity;
  readonly metrics: WorkerMetrics;
  /** ms until the next attempt after one that did not help. */
  readonly retryAfter?: number;
  /** ms that the engine may take to say how much room there is. */
  readonly patience?: number;
}

const RETRY_MS = 60 * 60 * 1000;

/** Engines with very many images take minutes to add them up. */
const PATIENCE_MS = 10 * 60 * 1000;

export class DiskGate implements Gate {
  constructor(private readonly options: DiskGateOptions) {}

  async pass(queue: QueueSwitch, signal: AbortSignal): Promise<void> {
    if (await this.#hasRoom(signal)) return;
    const { capacity, retryAfter = RETRY_MS } = this.options;
    log.info("Disk-space low. Will finish current jobs and then prune.");
    await queue.setActive(false);
    await capacity.whenIdle(signal);
    for (;;) {
      log.info("All jobs finished. Pruning…");
      const pruned = await this.#prune(signal);
      if (pruned && (await this.#hasRoom(signal))) break;
      log.warn(
        pruned
          ? "Disk-space still low after pruning! Will retry in one hour."
          : "docker prune command failed! Will retry in one hour.",
      );
      await sleep(retryAfter, signal);
    }
    log.info("Prune complete. Re-activating queue…");
    await queue.setActive(true);
  }

  async #hasRoom(signal: AbortSignal): Promise<boolean> {
    const { docker, rule, patience = PATIENCE_MS } = this.options;
    // A frozen engine must keep the worker neither from other work nor from its end.
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(patience)]);
    try {
      return "maxImagesGb" in rule
        ? (await unlessAborted(imagesGb(docker), inTime)) <= rule.maxImagesGb
        : (await unlessAborted(freePercent(docker), inTime)) >= rule.minFreePercent;
    } catch (error) {
      signal.throwIfAborted();
      // No engine, no images. What else this worker builds does not depend on it.
      log.warn(`Cannot find out how much room Docker has: ${(error as Error).message}`);
      return true;
    }
  }

  /** Removes everything unused; false if the engine fails to. */
  async #prune(signal: AbortSignal): Promise<boolean> {
    const { docker, metrics } = this.options;
    const stop = metrics.pruneTime.startTimer();
    try {
      await docker.pruneContainers({ abortSignal: signal });
      await docker.pruneNetworks({ abortSignal: signal });
      await docker.pruneImages({ filters: { dangling: ["false"] }, abortSignal: signal });
      const query = { all: "true" };
      const pruning = await postForStream(docker, { path: "/build/prune", query, signal });
      await text(pruning);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      log.warn(`Pruning failed: ${(error as Error).message}`);
      return false;
    } finally {
      stop();
    }
  }
}

/** Space that images take. */
async function imagesGb(docker: Docker): Promise<number> {
  const { LayersSize } = (await docker.df()) as { readonly LayersSize?: number };
  const gb = (LayersSize ?? 0) / 1e9;
  log.info(`Docker images take up ${gb.toFixed(2)}GB`);
  return gb;
}

/**
 * Free blocks or inodes, whichever is scarcer, on the scarcest of the file systems where the engine
 * keeps images.
 */
async function freePercent(docker: Docker): Promise<number> {
  let least = 100;
  for (const directory of await imageDirectories(docker)) {
    const { bavail, bfree, blocks, ffree, files } = await statfs(directory);
    const freeBlocks = percent(bavail, blocks - bfree);
    // File systems that make inodes as needed say that there are none.
    const freeFiles = files === 0 ? 100 : percent(ffree, files - ffree);
    log.info(
      `Docker partition: ${freeBlocks.toFixed(0)}% free blocks, ${freeFiles.toFixed(0)}% free files (${directory})`,
    );
    least = Math.min(least, freeBlocks, freeFiles);
  }
  return least;
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
