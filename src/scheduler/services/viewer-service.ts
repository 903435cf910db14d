/**
 * What a viewer's secret opens: all is seen here, and nothing changed.
 */
import {
  Access,
  Batches,
  JobRecords,
  type LiveJobs,
  OutputLinks,
  PoolDirectory,
  type PoolMonitor,
  Viewer,
} from "../../api/index.js";
import { brokenCapability, type Capability, type MethodEntry, RpcError } from "../../rpc/index.js";
import { BatchDesk } from "./batch-desk.js";
import type { ClientLimits } from "./client-limits.js";
import type { ClusterPool } from "./cluster-pool.js";
import type { DurableJobs } from "./durable-jobs.js";
import type { Grant } from "./grants.js";
import { JobDesk } from "./job-desk.js";
import { poolSummaries } from "./pool-summary.js";

export interface ViewerOptions {
  readonly grant: Grant;
  readonly pools: ReadonlyMap<string, ClusterPool>;
  /** What is told of a pool; see `PoolAdminService`. */
  watched(pool: string): (PoolMonitor.PoolMonitorService & LiveJobs.LiveJobsService) | undefined;
  readonly clientLimits: ClientLimits;
  /** Undefined where there are no durable jobs. */
  readonly durable: DurableJobs | undefined;
}

/** A viewer's service, owned by the caller. */
export function viewerService(options: ViewerOptions): Capability {
  const { durable, grant, pools, watched } = options;
  const check = () => grant.check();
  const service: Viewer.ViewerService = {
    pool: (name) => {
      check();
      const pool = watched(name);
      if (!pool) return brokenCapability(new RpcError("failed", "No such pool"));
      return Viewer.localPool({
        state: () => {
          check();
          return pool.state();
        },
        explain: async (subject) => {
          check();
          return pool.explain(subject);
        },
        liveJobs: async (...args) => {
          check();
          return pool.liveJobs(...args);
        },
        cancelLiveJobs: refuse,
      });
    },
  };
  return Viewer.local(service, [
    ...Access.accessMethods(() => {
      check();
      return { kind: "viewer", id: grant.name };
    }),
    ...PoolDirectory.poolDirectoryMethods({
      pools: () => {
        check();
        return poolSummaries(pools.values());
      },
    }),
    ...(durable ? recordMethods(options, durable, check) : []),
  ]);
}

function recordMethods(
  { clientLimits, pools }: ViewerOptions,
  durable: DurableJobs,
  check: () => void,
): MethodEntry[] {
  const jobs = new JobDesk(durable, clientLimits, null, pools);
  const batches = new BatchDesk(durable, clientLimits, null, pools);
  const checked = <T>(desk: T): T => {
    check();
    return desk;
  };
  return [
    ...JobRecords.jobRecordsMethods({
      list: async (...args) => checked(jobs).list(...args),
      get: async (...args) => checked(jobs).get(...args),
      log: async (...args) => checked(jobs).log(...args),
      cancelJob: refuse,
      retry: refuse,
      usage: async (...args) => checked(jobs).usage(...args),
      outputs: async (...args) => checked(jobs).outputs(...args),
      readOutputs: async (...args) => checked(jobs).readOutputs(...args),
    }),
    ...OutputLinks.outputLinksMethods({
      link: async (...args) => checked(jobs).link(...args),
    }),
    ...Batches.batchesMethods({
      open: async (batch) => {
        batch.release();
        return await refuse();
      },
      add: refuse,
      close: refuse,
      listBatches: async (...args) => checked(batches).listBatches(...args),
      getBatch: async (...args) => checked(batches).getBatch(...args),
      rows: async (...args) => checked(batches).rows(...args),
      ends: async (...args) => checked(batches).ends(...args),
      cancelBatch: refuse,
      retryBatch: refuse,
    }),
  ];
}

async function refuse(): Promise<never> {
  throw new RpcError(
    "failed",
    "A viewer changes nothing: use a client's capability, or an administrator's",
  );
}
