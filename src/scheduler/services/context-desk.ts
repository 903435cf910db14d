/**
 * Where clients bring the local directories that their jobs are built from, and workers fetch them.
 */
import { type ContextStore as Api, ContextManifest, type ContextSource } from "../../api/index.js";
import { RpcError } from "../../rpc/index.js";
import { PartRefused } from "../state/context-parts.js";
import { ContextRefused } from "../state/context-shelf.js";
import { type ContextStore, ContextsFull } from "../state/context-store.js";

/** The most that is given at once, in bytes. */
const PART = 1024 * 1024;

/** Of one client. */
export class ContextDesk implements Api.ContextStoreService {
  constructor(
    private readonly contexts: ContextStore,
    private readonly client: string,
  ) {}

  async known(manifest: string) {
    await inWords(this.contexts.ready);
    return { known: this.contexts.has(this.client, manifest), limits: this.contexts.limits };
  }

  missing(blobs: readonly string[]): Promise<readonly string[]> {
    return inWords(this.contexts.missing(this.client, blobs));
  }

  put(sizes: readonly number[], data: Uint8Array): Promise<void> {
    const blobs: Uint8Array[] = [];
    let at = 0;
    for (const size of sizes) {
      blobs.push(data.subarray(at, at + size));
      at += size;
    }
    if (at !== data.length) throw new RpcError("failed", "The sizes of blobs do not fit the data");
    return inWords(this.contexts.put(this.client, blobs));
  }

  append(part: Api.BlobPart): Promise<number> {
    return inWords(this.contexts.append(this.client, part));
  }

  keep(manifest: string): Promise<readonly string[]> {
    return inWords(this.contexts.keep(this.client, manifest));
  }
}

/** For workers. */
export async function readBlobs(
  contexts: ContextStore,
  { blobs, client, limit, start }: ContextSource.BlobRange,
): Promise<Uint8Array> {
  const length = Math.min(limit, PART);
  const data = await inWords(contexts.read(client, blobs, start, length));
  if (data) return data;
  throw new RpcError(
    "failed",
    "The local directory that the job is built from is not kept (any more)",
  );
}

/** Throws an `RpcError` if a job cannot be built from a context, as it is not there. Once ready. */
export function checkContext(contexts: ContextStore, client: string, manifest: string): void {
  if (manifest === "") throw new RpcError("failed", "The job's source is no local directory");
  if (contexts.has(client, manifest)) return;
  throw new RpcError(
    "failed",
    "The local directory that the job is to be built from is not kept (any more): submit it again",
  );
}

/** What clients are told of a failure. */
async function inWords<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new RpcError("failed", words(error as Error & { code?: string }));
  }
}

function words(error: Error & { code?: string }): string {
  if (error instanceof ContextsFull) return error.message;
  if (error.code === "ENOSPC" || error.code === "EDQUOT") {
    return "The scheduler's disk is full: it cannot take the context";
  }
  const isRefusal =
    error instanceof ContextRefused ||
    error instanceof PartRefused ||
    error instanceof ContextManifest.BadManifest;
  if (isRefusal) return `The context is refused: ${error.message}`;
  return `The scheduler cannot keep the context: ${error.message}`;
}
