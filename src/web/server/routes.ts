/** All of the API: what is where. docs/openapi.yaml says the same, and is held against it. */
import * as batches from "./api-batches.js";
import * as cluster from "./api-cluster.js";
import type { Events } from "./api-events.js";
import * as jobs from "./api-jobs.js";
import * as entry from "./api-session.js";
import { type KnownCall, ok, type Reply } from "./http.js";
import { sendLog } from "./raw-log.js";
import { Router } from "./router.js";
import type { Web } from "./web.js";

/** Answers a request of somebody who may come in; what it may see is the handler's to check. */
export type Handler = (call: KnownCall) => Promise<Reply | null>;

export function routes(web: Web, events: Events): Router<Handler> {
  const bound =
    (handler: (web: Web, call: KnownCall) => Promise<Reply | null>): Handler =>
    (call) =>
      handler(web, call);
  const worker = "/api/v1/pools/:pool/workers/:worker";
  return new Router<Handler>()
    .on("GET", "/api/v1/session", async ({ session }) => ok(entry.sessionJson(web, session)))
    .on("DELETE", "/api/v1/session", bound(entry.leave))
    .on("POST", "/api/v1/links", bound(entry.makeLink))
    .on("GET", "/api/v1/pools", bound(cluster.listPools))
    .on("GET", "/api/v1/pools/:pool", bound(cluster.showPool))
    .on("GET", "/api/v1/pools/:pool/live", bound(cluster.liveJobs))
    .on("GET", "/api/v1/pools/:pool/explain", bound(cluster.explainPool))
    .on("POST", `${worker}/pause`, (call) => cluster.setActive(web, call, false))
    .on("POST", `${worker}/unpause`, (call) => cluster.setActive(web, call, true))
    .on("POST", `${worker}/drain`, (call) => cluster.begin(web, call, "drain"))
    .on("POST", `${worker}/update`, (call) => cluster.begin(web, call, "update"))
    .on("GET", "/api/v1/workers/:worker", bound(cluster.showWorker))
    .on("GET", "/api/v1/operations", bound(cluster.listOperations))
    .on("GET", "/api/v1/usage", bound(cluster.showUsage))
    .on("GET", "/api/v1/jobs", bound(jobs.listJobs))
    .on("GET", "/api/v1/jobs/:job", bound(jobs.showJob))
    .on("GET", "/api/v1/jobs/:job/explain", bound(jobs.explainJob))
    .on("POST", "/api/v1/jobs/:job/cancel", bound(jobs.cancelJob))
    .on("POST", "/api/v1/jobs/:job/retry", bound(jobs.retryJob))
    .on("GET", "/api/v1/jobs/:job/log", bound(jobs.showLog))
    .on("GET", "/api/v1/jobs/:job/log/steps", bound(jobs.showSteps))
    .on("GET", "/api/v1/jobs/:job/log/raw", bound(sendLog))
    .on("GET", "/api/v1/jobs/:job/outputs", bound(jobs.listOutputs))
    .on("GET", "/api/v1/jobs/:job/outputs/file", bound(jobs.sendOutput))
    .on("GET", "/api/v1/batches", bound(batches.listBatches))
    .on("GET", "/api/v1/batches/:batch", bound(batches.showBatch))
    .on("GET", "/api/v1/batches/:batch/rows", bound(batches.listRows))
    .on("GET", "/api/v1/batches/:batch/grid", bound(batches.showGrid))
    .on("GET", "/api/v1/batches/:batch/grid/:row", bound(batches.showRow))
    .on("POST", "/api/v1/batches/:batch/cancel", bound(batches.cancelBatch))
    .on("POST", "/api/v1/batches/:batch/retry", bound(batches.retryBatch))
    .on("GET", "/api/v1/events", (call) => events.begin(call));
}
