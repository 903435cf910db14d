/**
 * OCluster's RPC interfaces, one namespace each: `X.local` makes a server from plain functions, the
 * other functions call one. Ownership of capabilities is as in the `rpc` module: results are the
 * caller's, arguments only where a comment says "taken". Calls reject with an `RpcError`.
 */
export * as AbleQueue from "./able-queue.js";
export * as Access from "./access.js";
export * as Admin from "./admin.js";
export * as BackupList from "./backup-list.js";
export * as Backups from "./backups.js";
export * as Batches from "./batches.js";
export * as BulkQueue from "./bulk-queue.js";
export type { CallOptions } from "./calls.js";
export * as ContextManifest from "./context-manifest.js";
export * as ContextSource from "./context-source.js";
export * as ContextStore from "./context-store.js";
export * as DurableJob from "./durable-job.js";
export * as DurableQueue from "./durable-queue.js";
export * as DurableSubmission from "./durable-submission.js";
export * as EphemeralQueue from "./ephemeral-queue.js";
export * as FormerPools from "./former-pools.js";
export * as Grants from "./grants.js";
export * as Job from "./job.js";
export type {
  Action,
  CustomBuild,
  DockerBuild,
  JobDescr,
  OBuilderBuild,
  Push,
  Secret,
  Source,
} from "./job-descr.js";
export { cacheHintBytes, cacheHintOf, needsOf, readJobDescr } from "./job-descr.js";
export * as JobRecords from "./job-records.js";
export * as LiveJobs from "./live-jobs.js";
export * as LocalContext from "./local-context.js";
export * as OutputLinks from "./output-links.js";
export type { OutputOrder, OutputWhen } from "./output-order.js";
export * as OutputStream from "./output-stream.js";
export * as OutputUpload from "./output-upload.js";
export * as Persistent from "./persistent.js";
export * as PoolAdmin from "./pool-admin.js";
export * as PoolDirectory from "./pool-directory.js";
export * as PoolMonitor from "./pool-monitor.js";
export * as Progress from "./progress.js";
export * as Queue from "./queue.js";
export * as Registration from "./registration.js";
export * as Retirement from "./retirement.js";
export * as Scaler from "./scaler.js";
export * as Submission from "./submission.js";
export * as Ticket from "./ticket.js";
export * as Viewer from "./viewer.js";
export * as Worker from "./worker.js";
