/** Handlers about batches. */
import { Batches } from "../../api/index.js";
import { RowChunk } from "../../batch/index.js";
import { resultOf } from "../../client/batch/index.js";
import { batchJson } from "./batches.js";
import { type KnownCall, ok, type Reply, readBody } from "./http.js";
import { bodyText, bodyTexts, integerParam, numberOf, textParam } from "./query.js";
import { requireAll, requireBatch, requireRole, type Web } from "./web.js";

export async function listBatches(web: Web, { query, session }: KnownCall): Promise<Reply> {
  requireAll(session);
  const cursor = textParam(query, "cursor", 100) ?? "";
  if (cursor !== "") numberOf("cursor", cursor);
  const limit = integerParam(query, "limit", { min: 1, max: 200, default: 50 });
  return ok(await web.batches.list(cursor, limit));
}

function batchOf({ params, session }: KnownCall): number {
  const batch = numberOf("batch", params.batch!);
  requireBatch(session, batch);
  return batch;
}

export async function showBatch(web: Web, call: KnownCall): Promise<Reply> {
  return ok(batchJson(await web.batches.get(batchOf(call))));
}

export async function listRows(web: Web, call: KnownCall): Promise<Reply> {
  const batch = batchOf(call);
  const after = integerParam(call.query, "after", { min: 0, max: 1e15, default: 0 });
  const limit = integerParam(call.query, "limit", { min: 1, max: 500, default: 100 });
  const { columns, page } = await web.batches.rows(batch, after, limit);
  const rows = page.rows.map(({ job, row, values }) =>
    resultOf({ row, job, ...new RowChunk(values, columns.length).row(0) }, columns),
  );
  return ok({ rows, next: page.next });
}

export async function showGrid(web: Web, call: KnownCall): Promise<Reply> {
  return ok(await web.batches.grid(batchOf(call)));
}

export async function showRow(web: Web, call: KnownCall): Promise<Reply> {
  return ok(await web.batches.row(batchOf(call), numberOf("row", call.params.row!, 0)));
}

export async function cancelBatch(web: Web, call: KnownCall): Promise<Reply> {
  const batch = await changeable(web, call);
  const reason = bodyText(await readBody(call.request), "reason", 500) ?? "";
  await web.batches.get(batch);
  await web.cluster.ask((records) => Batches.cancel(records, batch, reason), "conflict");
  web.cache.clear();
  return ok(batchJson(await web.batches.get(batch)));
}

export async function retryBatch(web: Web, call: KnownCall): Promise<Reply> {
  const batch = await changeable(web, call);
  const keys = bodyTexts(await readBody(call.request), "keys");
  await web.batches.get(batch);
  const again = await web.cluster.ask((records) => Batches.retry(records, batch, keys), "conflict");
  web.cache.clear();
  return ok({ again });
}

async function changeable(web: Web, call: KnownCall): Promise<number> {
  requireAll(call.session);
  requireRole(web, "admin", "client");
  return batchOf(call);
}
