/**
 * `/api/v1/jobs/N/log/raw`: a log as it is, or a range of it, as fast as it is read; with `follow`
 * until its attempt has ended.
 */
import { JobRecords } from "../../api/index.js";
import { ApiError } from "./errors.js";
import { attachment, type KnownCall, stream } from "./http.js";
import { flagParam, integerParam, numberOf } from "./query.js";
import { requireJob, type Web } from "./web.js";

export async function sendLog(web: Web, call: KnownCall): Promise<null> {
  const job = numberOf("job", call.params.job!);
  await requireJob(web, call.session, job);
  const wanted = integerParam(call.query, "attempt", { min: 0, max: 1_000_000, default: 0 });
  const follow = flagParam(call.query, "follow");
  const found = await web.logs.whole(job, wanted);
  const { attempt, size } = found ?? { attempt: 0, size: 0 };
  const headers = {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Disposition": attachment(`job-${job}-attempt-${attempt}.log`),
    "Cache-Control": "no-store",
  };
  if (follow && found) {
    await stream(call, headers, following(web, { job, attempt }, call.signal));
    return null;
  }
  const range = rangeOf(call.headers.range, size);
  if (range === "none") {
    throw new ApiError("bad_range", `The log has ${size} bytes.`, {
      "Content-Range": `bytes */${size}`,
    });
  }
  const { from, to } = range ?? { from: 0, to: size };
  const length = { "Content-Length": to - from, "Accept-Ranges": "bytes" };
  const chunks = part(web, { job, attempt }, from, to);
  if (range === null) {
    await stream(call, { ...headers, ...length }, chunks);
  } else {
    const place = { "Content-Range": `bytes ${from}-${to - 1}/${size}` };
    await stream(call, { ...headers, ...length, ...place }, chunks, 206);
  }
  return null;
}

interface Which {
  readonly job: number;
  readonly attempt: number;
}

async function* part(web: Web, which: Which, from: number, to: number): AsyncGenerator<Uint8Array> {
  for (let at = from; at < to; ) {
    const range = { ...which, start: at, follow: false };
    const { data } = await web.cluster.ask((records) => JobRecords.log(records, range));
    // Who was promised more must not take it for all.
    if (data.length === 0) throw new Error("The log is shorter than was said");
    const wanted = data.subarray(0, to - at);
    yield wanted;
    at += wanted.length;
  }
}

async function* following(web: Web, which: Which, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    const range = { ...which, start: at, follow: true };
    const page = await web.cluster.wait((records) => JobRecords.log(records, range, { signal }));
    if (page.data.length === 0) return;
    yield page.data;
    at = page.next;
  }
}

/**
 * The one range that a header asks for, its end excluded; null: all of it, as also of what is not
 * understood, and of several; "none": nothing of it is there.
 */
export function rangeOf(
  header: string | undefined,
  size: number,
): { readonly from: number; readonly to: number } | "none" | null {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "") ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return null;
  if (first === "") {
    const from = Math.max(0, size - Number(last));
    return Number(last) === 0 || size === 0 ? "none" : { from, to: size };
  }
  const from = Number(first);
  if (last !== "" && Number(last) < from) return null;
  if (from >= size) return "none";
  return { from, to: last === "" ? size : Math.min(size, Number(last) + 1) };
}
