/** Handlers about pools, their workers, and who uses them. */

import { describeObstacle, liveFields } from "../../admin/index.js";
import { LiveJobs, PoolAdmin, PoolMonitor } from "../../api/index.js";
import { schedulerJson } from "./api-session.js";
import { badRequest } from "./errors.js";
import { type KnownCall, ok, type Reply, readBody } from "./http.js";
import type { OperationKind } from "./operations.js";
import { integerParam, momentParam, statesParam, textParam } from "./query.js";
import { requireAll, requireRole, type Web } from "./web.js";

export async function listPools(web: Web, { session }: KnownCall): Promise<Reply> {
  requireAll(session);
  return ok({ ...(await web.pools.all()), scheduler: schedulerJson(web) });
}

export async function showPool(web: Web, { params, session }: KnownCall): Promise<Reply> {
  requireAll(session);
  return ok(await web.pools.one(params.pool!));
}

/** How old what is told of live jobs may be, in ms. */
const LIVE_AGE_MS = 1500;

export async function liveJobs(web: Web, { params, query, session }: KnownCall): Promise<Reply> {
  requireAll(session);
  requireRole(web, "admin", "viewer");
  const pool = params.pool!;
  const limit = integerParam(query, "limit", { min: 1, max: 500, default: 100 });
  const filter = {
    states: statesParam(query),
    client: textParam(query, "client"),
    worker: textParam(query, "worker"),
    hint: textParam(query, "hint", 5000),
  };
  const key = `live ${JSON.stringify([pool, filter, limit])}`;
  const { jobs, total } = await web.cache.get(key, LIVE_AGE_MS, () =>
    web.cluster.askPool(pool, (service) => LiveJobs.list(service, filter, { limit })),
  );
  return ok({ jobs: jobs.map((job) => liveFields({ pool, job })), total });
}

export async function explainPool(web: Web, { params, query, session }: KnownCall): Promise<Reply> {
  requireAll(session);
  requireRole(web, "admin", "viewer");
  const worker = textParam(query, "worker");
  const client = textParam(query, "client");
  if (worker !== undefined && client !== undefined) {
    throw badRequest("Ask about a worker or a client, not both.");
  }
  const subject: PoolMonitor.Subject =
    worker !== undefined
      ? { kind: "worker", worker }
      : client !== undefined
        ? { kind: "client", client }
        : { kind: "pool" };
  return ok(await explain(web, params.pool!, subject));
}

/** Why something does not run, as JSON. Rejects with an `ApiError`. */
export async function explain(web: Web, pool: string, subject: PoolMonitor.Subject) {
  const key = `explain ${JSON.stringify([pool, subject])}`;
  const { job, obstacles } = await web.cache.get(key, LIVE_AGE_MS, () =>
    web.cluster.askPool(pool, (service) => PoolMonitor.explain(service, subject)),
  );
  return {
    job: job && {
      ...{ client: job.client, label: job.label, urgent: job.urgent, delay: job.delay },
      ...{ ahead: job.place?.ahead ?? null, length: job.place?.length ?? null },
    },
    obstacles: obstacles.map((one) => ({ kind: one.kind, text: describeObstacle(one) })),
  };
}

export async function showWorker(web: Web, { params, query, session }: KnownCall): Promise<Reply> {
  requireAll(session);
  requireRole(web, "admin", "viewer");
  return ok(await web.workers.one(params.worker!, textParam(query, "pool")));
}

export async function setActive(
  web: Web,
  { params, request, session }: KnownCall,
  active: boolean,
): Promise<Reply> {
  requireAll(session);
  requireRole(web, "admin");
  await readBody(request);
  const worker = params.worker!;
  await web.cluster.askPool(
    params.pool!,
    (pool) => PoolAdmin.setActive(pool, worker, active),
    "conflict",
  );
  web.cache.clear();
  web.pools.refresh();
  return ok({ worker, active });
}

export async function begin(
  web: Web,
  { params, request, session }: KnownCall,
  kind: OperationKind,
): Promise<Reply> {
  requireAll(session);
  requireRole(web, "admin");
  await readBody(request);
  return { status: 202, body: web.operations.begin(kind, params.pool!, params.worker!) };
}

export async function listOperations(web: Web, { session }: KnownCall): Promise<Reply> {
  requireAll(session);
  return ok(web.operations.json);
}

export async function showUsage(web: Web, { query, session }: KnownCall): Promise<Reply> {
  requireAll(session);
  const by = textParam(query, "by");
  if (by !== undefined && by !== "day" && by !== "week") {
    throw badRequest("'by' is day or week, or left out.");
  }
  return ok(await web.usage.between(momentParam(query, "since"), momentParam(query, "until"), by));
}
