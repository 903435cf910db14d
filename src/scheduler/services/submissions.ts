/**
 * What a client's secret opens: jobs are submitted here.
 */
import {
  Access as AccessApi,
  Batches,
  ContextStore,
  DurableSubmission,
  JobRecords,
  LocalContext,
  OutputLinks,
  PoolDirectory,
  Submission,
} from "../../api/index.js";
import {
  brokenCapability,
  type Capability,
  type DetachedPointer,
  type MethodEntry,
  RpcError,
  type SturdyRef,
} from "../../rpc/index.js";
import { BatchDesk } from "./batch-desk.js";
import type { ClientLimits, TicketAccount } from "./client-limits.js";
import type { Access } from "./clients.js";
import type { ClusterPool } from "./cluster-pool.js";
import { ContextDesk, checkContext } from "./context-desk.js";
import type { DurableJobs } from "./durable-jobs.js";
import { submitDurable } from "./durable-submissions.js";
import { JobDesk } from "./job-desk.js";
import { poolSummaries } from "./pool-summary.js";
import { unknownPool } from "./unknown-pool.js";

export interface SubmissionOptions {
  readonly access: Access;
  readonly pools: ReadonlyMap<string, ClusterPool>;
  /** Of the connection through which the service is used. */
  readonly ticketAccount: TicketAccount;
  /** Where the service can be had again. */
  readonly sturdyRef: SturdyRef;
  readonly clientLimits: ClientLimits;
  /** Undefined where there are no durable jobs. */
  readonly durable: DurableJobs | undefined;
}

/** A client's `Submission`, owned by the caller. */
export function submissionService(options: SubmissionOptions): Capability {
  const { access, durable, pools, sturdyRef, ticketAccount } = options;
  const submit = ({ pool: name, descr, urgent }: Submission.SubmittedJob) => {
    const { client, queueAccount, revoked } = access;
    const pool = pools.get(name);
    if (revoked || !pool) {
      descr.release();
      // As a ticket that is of no use: that is how clients expect to be told.
      return brokenCapability(revoked ? accessRevoked() : unknownPool(name, pools));
    }
    let context: (() => void) | undefined;
    try {
      context = takeContext(durable, client, descr);
    } catch (error) {
      descr.release();
      return brokenCapability(RpcError.from(error));
    }
    return pool.submit({ client, descr, urgent, queueAccount, ticketAccount, context });
  };
  const service: Submission.SubmissionService = {
    submit: (job) => {
      const whenReady = durable && readiness(durable, job.descr);
      if (!whenReady) return submit(job);
      return whenReady.then(
        () => submit(job),
        (error) => {
          job.descr.release();
          throw error;
        },
      );
    },
    save: () => sturdyRef,
  };
  return Submission.local(service, [
    ...AccessApi.accessMethods(() => {
      if (access.revoked) throw accessRevoked();
      return { kind: "client", id: access.client };
    }),
    ...PoolDirectory.poolDirectoryMethods({
      pools: () => {
        if (access.revoked) throw accessRevoked();
        return poolSummaries(pools.values());
      },
    }),
    ...(durable ? durableMethods(options, durable) : []),
  ]);
}

/** What a job has to wait for before it can be queued; undefined: nothing. */
function readiness(durable: DurableJobs, descr: DetachedPointer): Promise<unknown> | undefined {
  // Behind the jobs of its client that are on file.
  const whole = durable.isWhole ? undefined : durable.whole;
  const { contexts } = durable;
  if (contexts.isReady || LocalContext.manifestIn(descr) === undefined) return whole;
  return Promise.all([whole, contexts.ready]);
}

/**
 * Has the local directory that a job is built from, if it is, stay until what this returns is
 * called. Throws an `RpcError` if it is not there.
 */
function takeContext(
  durable: DurableJobs | undefined,
  client: string,
  descr: DetachedPointer,
): (() => void) | undefined {
  const manifest = LocalContext.manifestIn(descr);
  if (manifest === undefined) return undefined;
  if (!durable) throw new RpcError("failed", "This scheduler keeps no local directories");
  const { contexts } = durable;
  checkContext(contexts, client, manifest);
  contexts.lock(client, manifest);
  let isTaken = true;
  return () => {
    if (isTaken) contexts.unlock(client, manifest);
    isTaken = false;
  };
}

/** What a client's service can do beyond the shared contract. */
function durableMethods(
  { access, clientLimits, pools }: SubmissionOptions,
  durable: DurableJobs,
): MethodEntry[] {
  const { client } = access;
  const desk = new JobDesk(durable, clientLimits, client, pools);
  const batches = new BatchDesk(durable, clientLimits, client, pools);
  const checkBatches = () => {
    if (access.revoked) throw accessRevoked();
    return batches;
  };
  const check = () => {
    if (access.revoked) throw accessRevoked();
    return desk;
  };
  const contexts = new ContextDesk(durable.contexts, client);
  const contextDesk = async () => {
    await durable.whole;
    if (access.revoked) throw accessRevoked();
    return contexts;
  };
  return [
    ...DurableSubmission.durableSubmissionMethods({
      submitDurable: async (job) => {
        if (!access.revoked && pools.has(job.pool)) {
          return submitDurable(durable, clientLimits, client, job);
        }
        job.descr.release();
        throw access.revoked ? accessRevoked() : unknownPool(job.pool, pools);
      },
    }),
    ...Batches.batchesMethods({
      open: async (batch) => {
        if (access.revoked) batch.release();
        return checkBatches().open(batch);
      },
      add: async (...args) => checkBatches().add(...args),
      close: async (...args) => checkBatches().close(...args),
      listBatches: async (...args) => checkBatches().listBatches(...args),
      getBatch: async (...args) => checkBatches().getBatch(...args),
      rows: async (...args) => checkBatches().rows(...args),
      ends: async (...args) => checkBatches().ends(...args),
      cancelBatch: async (...args) => checkBatches().cancelBatch(...args),
      retryBatch: async (...args) => checkBatches().retryBatch(...args),
    }),
    ...ContextStore.contextStoreMethods({
      known: async (...args) => (await contextDesk()).known(...args),
      missing: async (...args) => (await contextDesk()).missing(...args),
      put: async (...args) => (await contextDesk()).put(...args),
      append: async (...args) => (await contextDesk()).append(...args),
      keep: async (...args) => (await contextDesk()).keep(...args),
    }),
    ...JobRecords.jobRecordsMethods({
      list: async (...args) => check().list(...args),
      get: async (...args) => check().get(...args),
      log: async (...args) => check().log(...args),
      cancelJob: async (...args) => check().cancelJob(...args),
      retry: async (...args) => check().retry(...args),
      usage: async (...args) => check().usage(...args),
      outputs: async (...args) => check().outputs(...args),
      readOutputs: async (...args) => check().readOutputs(...args),
    }),
    ...OutputLinks.outputLinksMethods({
      link: async (...args) => check().link(...args),
    }),
  ];
}

function accessRevoked(): RpcError {
  return new RpcError("failed", "Access has been revoked");
}
