/**
 * Which view a URL is of, and back. All of what a view shows is in its URL, so that it can be
 * bookmarked and sent. Names are anything but empty, and are encoded as one part of a path.
 */

/** What a list of jobs is narrowed to; what is not given does not matter. */
export interface JobQuery {
  readonly state?: string;
  readonly pool?: string;
  readonly client?: string;
  readonly worker?: string;
  readonly hint?: string;
  readonly batch?: string;
  readonly since?: string;
  readonly until?: string;
  readonly text?: string;
  readonly cursor?: string;
}

export const QUERY_KEYS = [
  "state",
  "pool",
  "client",
  "worker",
  "hint",
  "batch",
  "since",
  "until",
  "text",
  "cursor",
] as const satisfies readonly (keyof JobQuery)[];

/** Lines of a log, from 1 as people count them; both ends included. */
export interface LineRange {
  readonly first: number;
  readonly last: number;
}

export type Route =
  | { readonly view: "overview" }
  | { readonly view: "pool"; readonly pool: string }
  | { readonly view: "worker"; readonly worker: string; readonly pool: string | null }
  | { readonly view: "jobs"; readonly query: JobQuery }
  | {
      readonly view: "job";
      readonly job: number;
      /** Null: the newest. */
      readonly attempt: number | null;
      readonly lines: LineRange | null;
    }
  | { readonly view: "batches"; readonly cursor: string | null }
  | { readonly view: "batch"; readonly batch: number }
  | { readonly view: "usage"; readonly weeks: number }
  | { readonly view: "unknown"; readonly path: string };

const DEFAULT_WEEKS = 8;

export function readRoute(path: string, search = "", hash = ""): Route {
  const [first = "", second, ...rest] = path.split("/").slice(1).map(decoded);
  const words = new URLSearchParams(search);
  const unknown: Route = { view: "unknown", path };
  if (rest.some((part) => part !== "")) return unknown;
  switch (first) {
    case "":
      return second ? unknown : { view: "overview" };
    case "pools":
      return second ? { view: "pool", pool: second } : { view: "overview" };
    case "workers":
      return second ? { view: "worker", worker: second, pool: words.get("pool") } : unknown;
    case "jobs": {
      if (!second) return { view: "jobs", query: readQuery(words) };
      const job = whole(second);
      if (job === null) return unknown;
      return { view: "job", job, attempt: whole(words.get("attempt")), lines: readLines(hash) };
    }
    case "batches": {
      if (!second) return { view: "batches", cursor: words.get("cursor") };
      const batch = whole(second);
      return batch === null ? unknown : { view: "batch", batch };
    }
    case "usage":
      return { view: "usage", weeks: Math.min(52, whole(words.get("weeks")) ?? DEFAULT_WEEKS) };
    default:
      return unknown;
  }
}

/** The path, with query and fragment. */
export function writeRoute(route: Route): string {
  switch (route.view) {
    case "overview":
      return "/";
    case "pool":
      return `/pools/${encodeURIComponent(route.pool)}`;
    case "worker":
      return withQuery(`/workers/${encodeURIComponent(route.worker)}`, { pool: route.pool });
    case "jobs":
      return withQuery("/jobs", route.query);
    case "job":
      return withQuery(`/jobs/${route.job}`, { attempt: route.attempt }) + writeLines(route.lines);
    case "batches":
      return withQuery("/batches", { cursor: route.cursor });
    case "batch":
      return `/batches/${route.batch}`;
    case "usage":
      return withQuery("/usage", { weeks: route.weeks === DEFAULT_WEEKS ? null : route.weeks });
    case "unknown":
      return route.path;
  }
}

/** The words of a query that say something, in one order: the same query is the same text. */
export function writeQuery(query: JobQuery): string {
  return withQuery("", query).slice(1);
}

function readQuery(words: URLSearchParams): JobQuery {
  const given = QUERY_KEYS.flatMap((key) => {
    const value = words.get(key)?.trim();
    return value ? [[key, value] as const] : [];
  });
  return Object.fromEntries(given);
}

/** `#L12`, `#L12-L30` (or `#L12-30`); null: none. */
export function readLines(hash: string): LineRange | null {
  const [, a, b] = /^#L(\d{1,9})(?:-L?(\d{1,9}))?$/.exec(hash) ?? [];
  if (a === undefined || Number(a) === 0) return null;
  const [first, last] = [Number(a), Number(b ?? a)];
  return last === 0 ? null : { first: Math.min(first, last), last: Math.max(first, last) };
}

export function writeLines(lines: LineRange | null): string {
  if (lines === null) return "";
  return lines.first === lines.last ? `#L${lines.first}` : `#L${lines.first}-L${lines.last}`;
}

function withQuery(path: string, query: object): string {
  const given: Readonly<Record<string, string | number | null | undefined>> = { ...query };
  const words = new URLSearchParams();
  const keys = [...QUERY_KEYS, "attempt", "weeks"];
  for (const key of keys) {
    const value = given[key];
    if (value !== undefined && value !== null && value !== "") words.set(key, String(value));
  }
  const text = words.toString();
  return text === "" ? path : `${path}?${text}`;
}

function whole(text: string | null): number | null {
  return text !== null && /^[1-9]\d{0,14}$/.test(text) ? Number(text) : null;
}

/** A part of a path; what cannot be decoded is taken as it stands. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
