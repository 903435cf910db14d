/** Handlers about jobs, their logs and files. */
import { JobRecords } from "../../api/index.js";
import { jobFields } from "../../client/index.js";
import { explain } from "./api-cluster.js";
import { ApiError, badRequest } from "./errors.js";
import { attachment, type KnownCall, ok, type Reply, readBody, stream } from "./http.js";
import { pageJson } from "./jobs.js";
import {
  bodyText,
  findParam,
  flagParam,
  integerParam,
  jobQuery,
  numberOf,
  textParam,
} from "./query.js";
import { outside, requireAll, requireJob, requireRole, type Web } from "./web.js";

export async function listJobs(web: Web, { query, session }: KnownCall): Promise<Reply> {
  const wanted = jobQuery(query);
  const { scope } = session;
  // A link to a batch shows its jobs, and no others.
  const isBatch = scope.kind === "batch" && wanted.filter.batch === String(scope.batch);
  if (scope.kind !== "all" && !isBatch) throw outside();
  return ok(pageJson(await web.jobs.page(wanted)));
}

/** The job of a request, which the session may see. Rejects with an `ApiError`. */
async function jobOf(web: Web, { params, session }: KnownCall): Promise<number> {
  const job = numberOf("job", params.job!);
  await requireJob(web, session, job);
  return job;
}

export async function showJob(web: Web, call: KnownCall): Promise<Reply> {
  return ok(jobFields(await web.jobs.get(await jobOf(web, call))));
}

export async function explainJob(web: Web, call: KnownCall): Promise<Reply> {
  const job = await jobOf(web, call);
  const { attached, ended, pool, reason } = await web.jobs.get(job);
  const isTold = web.role !== "client" && call.session.scope.kind === "all";
  const told =
    isTold && ended === null && !attached
      ? await explain(web, pool, { kind: "job", job }).catch(unlessEnded)
      : NOTHING;
  return ok({ ...told, reason: reason === "" ? null : reason });
}

const NOTHING = { job: null, obstacles: [] };

/** It may have ended since its record was read. */
function unlessEnded(error: unknown): typeof NOTHING {
  if (error instanceof ApiError && error.code === "not_found") return NOTHING;
  throw error;
}

export async function cancelJob(web: Web, call: KnownCall): Promise<Reply> {
  requireAll(call.session);
  requireRole(web, "admin", "client");
  const job = await jobOf(web, call);
  const reason = bodyText(await readBody(call.request), "reason", 500) ?? "";
  await web.jobs.get(job);
  await web.cluster.ask((records) => JobRecords.cancel(records, job, reason), "conflict");
  web.cache.clear();
  return ok(jobFields(await web.jobs.now(job)));
}

export async function retryJob(web: Web, call: KnownCall): Promise<Reply> {
  requireAll(call.session);
  requireRole(web, "admin", "client");
  const job = await jobOf(web, call);
  await readBody(call.request);
  await web.jobs.get(job);
  await web.cluster.ask((records) => JobRecords.retry(records, job), "conflict");
  web.cache.clear();
  return ok(jobFields(await web.jobs.now(job)));
}

function attemptOf({ query }: KnownCall): number {
  return integerParam(query, "attempt", { min: 0, max: 1_000_000, default: 0 });
}

/** Lines in a window, and numbers of lines that are found. */
const LINES = { min: 1, max: 2000, default: 200 };
const MATCHES = { min: 1, max: 1000, default: 100 };
const LINE = { min: 0, max: 1e12, default: 0 };

export async function showLog(web: Web, call: KnownCall): Promise<Reply> {
  const job = await jobOf(web, call);
  const { query } = call;
  const attempt = attemptOf(call);
  const find = findParam(query);
  const ofErrors = flagParam(query, "errors");
  if (find === undefined && !ofErrors) {
    const from = integerParam(query, "from", { min: -1e12, max: 1e12, default: 0 });
    return ok(await web.logs.lines(job, attempt, from, integerParam(query, "lines", LINES)));
  }
  const backwards = flagParam(query, "backwards");
  const last = { ...LINE, default: backwards ? LINE.max : 0 };
  const question = {
    find: ofErrors ? undefined : find,
    matchCase: flagParam(query, "case"),
    backwards,
    from: integerParam(query, "from", last),
    limit: integerParam(query, "limit", MATCHES),
  };
  return ok(await web.logs.find(job, attempt, question));
}

export async function showSteps(web: Web, call: KnownCall): Promise<Reply> {
  return ok(await web.logs.steps(await jobOf(web, call), attemptOf(call)));
}

export async function listOutputs(web: Web, call: KnownCall): Promise<Reply> {
  const job = await jobOf(web, call);
  const from = integerParam(call.query, "from", { min: 0, max: 1e9, default: 0 });
  const limit = integerParam(call.query, "limit", { min: 1, max: 1000, default: 1000 });
  return ok(await web.outputs.list(job, attemptOf(call), from, limit));
}

export async function sendOutput(web: Web, call: KnownCall): Promise<null> {
  const job = await jobOf(web, call);
  const path = textParam(call.query, "path", 5000);
  if (path === undefined) throw badRequest("Say which file: ?path=/…");
  const { bytes, entry } = await web.outputs.file(job, attemptOf(call), path);
  const headers = {
    "Content-Type": "application/octet-stream",
    "Content-Length": entry.size,
    "Content-Disposition": attachment(entry.path.split("/").at(-1)!),
    "Cache-Control": "no-store",
  };
  await stream(call, headers, bytes());
  return null;
}
