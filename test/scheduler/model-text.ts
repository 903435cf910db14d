/** What the model of the pool shows: the text of `test/golden/pool/README.md`, rule by rule. */
import { byName, inOrder, isActive, type Job, type Pop, type Worker } from "./model-state.js";

/** What of the model is shown. */
interface Shown {
  readonly now: number;
  readonly mode: "backlog" | "ready";
  readonly line: readonly Pop[];
  readonly workers: readonly Worker[];
  readonly clients: ReadonlyMap<string, { readonly nextStart: number }>;
  readonly known: ReadonlyMap<string, { readonly paused: boolean }>;
  readonly held: readonly { readonly hint: string }[];
  worker(name: string): Worker | undefined;
  rate(client: string): number;
  holders(hint: string): string[];
  queue(place: Exclude<Job["place"], null>): Job[];
  work(worker: Worker): number;
}

const REASONS = [
  ["worker", "worker pause"],
  ["admin-pause", "admin pause"],
  ["shutdown", "shutting down"],
] as const;

export function show(pool: Shown): string[] {
  const isAside = shownAs(pool, "aside").length > 0;
  const disconnected = [...pool.known].filter(([name]) => !pool.worker(name));
  return [
    `capacity: ${whole(pool.workers.reduce((sum, { capacity }) => sum + capacity, 0))}`,
    ...(pool.mode === "backlog"
      ? showJobs(pool, "queue: (backlog) [", "backlog", "]")
      : showLine(pool)),
    ...(isAside ? showJobs(pool, "aside: [", "aside", "]") : []),
    "registered:",
    ...[...pool.workers]
      .sort((a, b) => byName(a.name, b.name))
      .flatMap((worker) => showWorker(pool, worker)),
    "disconnected:",
    ...disconnected
      .sort(([a], [b]) => byName(a, b))
      .map(([name, { paused }]) => `  ${name}${paused ? " (paused)" : ""}`),
    ...showClients(pool),
  ];
}

function showJobs(
  pool: Shown,
  before: string,
  place: "backlog" | "aside" | Worker,
  after: string,
): string[] {
  const jobs = shownAs(pool, place)
    .reverse()
    .map((job) => {
      const text = `${job.client}:${job.name}@${duration(job.start - pool.now)}`;
      if (typeof place === "string") return `${text}${job.urgent ? "+urgent" : ""}`;
      return `${text}(${job.cost}${job.urgent ? "+urgent" : ""})`;
    });
  const lines = fill(before, jobs, columns(before));
  return [...lines.slice(0, -1), `${lines.at(-1)}${after}`];
}

/** While workers wait for jobs, those that wait for other workers than these are aside. */
function shownAs(pool: Shown, place: "backlog" | "aside" | Worker): Job[] {
  if (pool.mode === "backlog" || typeof place !== "string") return pool.queue(place);
  return place === "backlog"
    ? []
    : [...pool.queue("backlog"), ...pool.queue("aside")].sort(inOrder);
}

function showLine(pool: Shown): string[] {
  const names = pool.line.map(({ worker }) => worker.name).reverse();
  if (names.length === 0) return ["queue: (ready) []"];
  return fill("queue: (ready) [", [...names.slice(0, -1), `${names.at(-1)}]`], "queue: ".length);
}

function showWorker(pool: Shown, worker: Worker): string[] {
  const before = `  ${worker.name} (${pool.work(worker)}): `;
  const after = ` (${worker.running} running)`;
  if (isActive(worker)) return showJobs(pool, `${before}[`, worker, `]${after}`);
  const reasons = REASONS.filter(([reason]) => worker.reasons.has(reason));
  return [`${before}(inactive: ${reasons.map(([, words]) => words).join(", ")})${after}`];
}

function showClients(pool: Shown): string[] {
  const clients = [...pool.clients]
    .sort(([a], [b]) => byName(a, b))
    .map(([id, { nextStart }]) => {
      const delay = nextStart - pool.now;
      return `${id}(${whole(pool.rate(id))})${delay > 0 ? `+${duration(delay)}` : ""}`;
    });
  return fill("clients: ", clients, "clients: ".length);
}

export function showCached(pool: Shown): string[] {
  const hints = [...new Set(pool.held.map(({ hint }) => hint))].sort(byName);
  const indent = "cached: ".length;
  const record = hints.map((hint) => `${hint}: [${pool.holders(hint).join("; ")}]`).join(", ");
  const breakable = columns(`cached: ${record}`) > 77;
  const lines = ["cached: "];
  let long = false;
  for (const [i, hint] of hints.entries()) {
    const comma = i < hints.length - 1 ? "," : "";
    const all = `${hint}: [${pool.holders(hint).join("; ")}]`;
    const line = lines.at(-1)!;
    if (i > 0 && (long || columns(`${line} ${all}${comma}`) > 77)) {
      lines.push(" ".repeat(indent));
    } else if (i > 0) {
      lines.push(`${lines.pop()} `);
    }
    let before = `${lines.pop()}${hint}: `;
    const holders = pool
      .holders(hint)
      .map((name, j, { length }) => `${name}${j < length - 1 ? ";" : "]"}`);
    const fits = columns(`${before}[${holders.join(" ")}`) <= 77;
    // No list begins beyond column 68 if anything has to be broken, and no name in a list that has
    // to be.
    if (breakable && columns(before) > 68) {
      lines.push(before);
      before = " ".repeat(indent);
    }
    before += "[";
    const filled = fill(before, holders, columns(before), fits ? 77 : 68);
    long = filled.length > 1;
    lines.push(...filled.slice(0, -1), `${filled.at(-1)}${comma}`);
  }
  return lines;
}

/**
 * The elements behind what is before them, on lines of at most 77 columns: bytes, as the reference
 * counts.
 */
function fill(
  before: string,
  elements: readonly string[],
  indent: number,
  farthest = 77,
): string[] {
  const lines = [`${before}${elements[0] ?? ""}`];
  for (const element of elements.slice(1)) {
    const line = lines.at(-1)!;
    if (columns(`${line} ${element}`) <= 77 && columns(line) + 1 <= farthest)
      lines[lines.length - 1] = `${line} ${element}`;
    else lines.push(`${" ".repeat(indent)}${element}`);
  }
  return lines;
}

function columns(text: string): number {
  return Buffer.byteLength(text);
}

/** Rounded, halves to the even number; for numbers of usual size. */
function whole(x: number): string {
  const rounded = Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);
  return Object.is(rounded, -0) ? "-0" : String(rounded);
}

function duration(seconds: number): string {
  return seconds < 120 ? `${whole(seconds)}s` : `${whole(seconds / 60)}m`;
}
