/**
 * The durable jobs that have not ended, counted by client: their descriptions are kept, and a
 * client may have so many of so many bytes together.
 */
import { RpcError } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import { ShardedMap } from "../jobs/sharded-map.js";
import type { JobRecord } from "../jobs/types.js";
import type { ClientLimits } from "./client-limits.js";

/** What jobs need is not removed while they may need it. */
export interface NeededContexts {
  lock(client: string, manifest: string): void;
  /** `until`: when the job cannot be tried again any more, in Unix seconds. */
  unlock(client: string, manifest: string, until?: number): void;
}

interface Sum {
  jobs: number;
  bytes: number;
}

export class ActiveJobs {
  private readonly clients = new Map<string, Sum>();
  /** Bytes of their descriptions. */
  private readonly sizes = new ShardedMap<number, number>();

  /** @param keepFailed seconds for which a job that ended without success can be tried again */
  constructor(
    private readonly contexts: NeededContexts,
    private readonly keepFailed: number,
  ) {}

  /**
   * It was submitted, restored or tried again. Nothing is counted if it has ended since, as some do
   * at once.
   */
  enter({ client, ended, id, options }: JobRecord, bytes: number): void {
    if (ended !== null) return;
    if (options.context !== undefined) this.contexts.lock(client, options.context);
    const { jobs, bytes: others } = this.of(client);
    this.clients.set(client, { jobs: jobs + 1, bytes: others + bytes });
    this.sizes.set(id, bytes);
  }

  /** Bytes of the description of one that is here. */
  sizeOf(job: number): number {
    return this.sizes.get(job) ?? 0;
  }

  /** It has ended, or never was. Idempotent. */
  leave({ client, described, ended, id, options }: JobRecord): void {
    const bytes = this.sizes.get(id);
    if (bytes === undefined) return;
    if (options.context !== undefined) {
      const until = described && ended !== null ? ended + this.keepFailed : undefined;
      this.contexts.unlock(client, options.context, until);
    }
    this.sizes.delete(id);
    const { jobs, bytes: all } = this.of(client);
    if (jobs > 1) this.clients.set(client, { jobs: jobs - 1, bytes: all - bytes });
    else this.clients.delete(client);
  }

  /**
   * Why (as "overloaded") the client cannot have one more, with a description of so many bytes;
   * null if it can.
   */
  refusal(
    client: string,
    bytes: number,
    { queuedBytes, queuedJobs }: ClientLimits,
  ): RpcError | null {
    const active = this.of(client);
    const who = `Client ${quoted(client)}`;
    if (active.jobs >= queuedJobs) {
      return overloaded(`${who} has ${active.jobs} durable jobs that have not ended`, queuedJobs);
    }
    if (active.bytes + bytes > queuedBytes) {
      const what = `The descriptions of the durable jobs of ${who} that have not ended`;
      return overloaded(`${what} have ${active.bytes} bytes, and this one ${bytes}`, queuedBytes);
    }
    return null;
  }

  private of(client: string): Readonly<Sum> {
    return this.clients.get(client) ?? NONE;
  }
}

const NONE: Readonly<Sum> = { jobs: 0, bytes: 0 };

function overloaded(fact: string, limit: number): RpcError {
  return new RpcError(
    "overloaded",
    `${fact}; the limit is ${limit}. Submit more when some have ended`,
  );
}
