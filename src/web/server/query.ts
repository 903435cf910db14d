/** What comes in a URL or a body, checked: each of these throws an `ApiError` (bad_request). */
import type { JobRecords } from "../../api/index.js";
import { readDuration, readMoment } from "../../text/index.js";
import { badRequest } from "./errors.js";
import type { JobQuery } from "./jobs.js";

/** Characters of a name; of cache hints, which are longer; of a text that is looked for. */
const MAX_NAME = 1000;
const MAX_HINT = 5000;
const MAX_FIND = 200;

const STATES = ["waiting", "queued", "running", "succeeded", "failed", "cancelled"] as const;

/** Numbers of jobs, batches and rows. */
const NUMBER = /^\d{1,15}$/;

export function numberOf(what: string, text: string, min = 1): number {
  if (NUMBER.test(text) && Number(text) >= min) return Number(text);
  throw badRequest(`'${what}' is to be a whole number of at least ${min}.`);
}

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly default: number;
}

export function integerParam(query: URLSearchParams, name: string, bounds: Bounds): number {
  const text = query.get(name);
  if (text === null || text === "") return bounds.default;
  const value = Number(text);
  if (/^-?\d{1,15}$/.test(text) && value >= bounds.min && value <= bounds.max) return value;
  throw badRequest(`'${name}' is to be a whole number from ${bounds.min} to ${bounds.max}.`);
}

/** Undefined: not there, or empty. */
export function textParam(
  query: URLSearchParams,
  name: string,
  max = MAX_NAME,
): string | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (text.length > max) throw badRequest(`'${name}' may have ${max} characters.`);
  return text;
}

/** `1`: yes. */
export function flagParam(query: URLSearchParams, name: string): boolean {
  const text = textParam(query, name);
  if (text === undefined || text === "1") return text === "1";
  throw badRequest(`'${name}' is 1, or left out.`);
}

/** Seconds since the Unix epoch. */
export function momentParam(query: URLSearchParams, name: string): number | undefined {
  const text = textParam(query, name, 40);
  if (text === undefined) return undefined;
  if (/^\d{9,11}(\.\d{1,6})?$/.test(text)) return Number(text);
  const moment = readMoment(text, Date.now() / 1000);
  if (moment !== null && moment >= 0) return moment;
  throw badRequest(
    `'${name}' is a time such as 2026-11-30T18:00:00Z, 1d or 2h (ago), or seconds since the epoch.`,
  );
}

/** Seconds. */
export function durationOf(name: string, text: string, max: number): number {
  const seconds = readDuration(text);
  if (seconds !== null && seconds > 0 && seconds <= max) return seconds;
  throw badRequest(`'${name}' is a time such as 12h or 7d, of at most ${max / 86_400} days.`);
}

export function statesParam(query: URLSearchParams): JobRecords.JobState[] | undefined {
  const text = textParam(query, "state", 100);
  if (text === undefined) return undefined;
  return text.split(",").map((word) => {
    const state = STATES.find((one) => one === word.trim());
    if (state) return state;
    throw badRequest(`'state' is one or more of ${STATES.join(",")}.`);
  });
}

/** Jobs on a page. */
const JOBS: Bounds = { min: 1, max: 200, default: 50 };

export function jobQuery(query: URLSearchParams): JobQuery {
  const batch = textParam(query, "batch");
  if (batch !== undefined) numberOf("batch", batch);
  const since = momentParam(query, "since");
  const until = momentParam(query, "until");
  if (since !== undefined && until !== undefined && until <= since) {
    throw badRequest("'until' is not after 'since': nothing is between them.");
  }
  const cursor = textParam(query, "cursor", 100) ?? "";
  if (cursor !== "") numberOf("cursor", cursor);
  return {
    filter: {
      states: statesParam(query),
      pool: textParam(query, "pool"),
      client: textParam(query, "client"),
      worker: textParam(query, "worker"),
      hint: textParam(query, "hint", MAX_HINT),
      name: textParam(query, "name"),
      key: textParam(query, "key"),
      batch,
      since,
      until,
    },
    text: textParam(query, "text", MAX_FIND)?.toLowerCase(),
    cursor,
    limit: integerParam(query, "limit", JOBS),
  };
}

export function findParam(query: URLSearchParams): string | undefined {
  return textParam(query, "find", MAX_FIND);
}

/** The body of a request: an object. */
export type Body = Readonly<Record<string, unknown>>;

export function bodyText(body: Body, name: string, max: number): string | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string" && value.length <= max) return value;
  throw badRequest(`'${name}' is to be a text of at most ${max} characters.`);
}

/** The number of a job or batch. */
export function bodyNumber(body: Body, name: string): number | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value < 1e15) {
    return value;
  }
  throw badRequest(`'${name}' is to be a whole number of at least 1.`);
}

/** Keys that a retry names. */
const MAX_KEYS = 10_000;

export function bodyTexts(body: Body, name: string): string[] {
  const value = body[name];
  if (value === undefined || value === null) return [];
  const isFine =
    Array.isArray(value) &&
    value.length <= MAX_KEYS &&
    value.every((one) => typeof one === "string" && one.length <= MAX_NAME);
  if (isFine) return value as string[];
  throw badRequest(`'${name}' is to be a list of at most ${MAX_KEYS} texts.`);
}
