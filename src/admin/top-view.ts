/**
 * How `top` shows a pool: lines of text, for a terminal of a size or for any.
 */
import type { PoolMonitor } from "../api/index.js";
import { type Column, clipText, paint, Table } from "../console/index.js";
import { roughDuration, visible } from "../text/index.js";
import { describeObstacle } from "./obstacles.js";
import type { PoolReport, WorkerReport } from "./pool-report.js";

/** A report and when it was made. */
export interface Sample {
  readonly report: PoolReport;
  /** In ms since the Unix epoch. */
  readonly time: number;
}

export interface ViewOptions {
  readonly pool: string;
  readonly color: boolean;
  /** The size of the terminal; Infinity where there is none. */
  readonly columns: number;
  readonly rows: number;
}

/** @param before an earlier sample, to see how fast things go; null at the beginning */
export function topView(now: Sample, before: Sample | null, options: ViewOptions): string[] {
  const { report } = now;
  const { color, columns } = options;
  const workers = report.workers.toSorted((a, b) => Number(b.connected) - Number(a.connected));
  // Who waits for most comes first.
  const clients = report.clients.toSorted((a, b) => total(b.queued) - total(a.queued));
  const summary = summaryLines(now, before, options.pool);
  // Blank lines and headings take four more.
  const room = Math.max(2, options.rows - summary.length - 4);
  const half = Math.floor(room / 2);
  const forWorkers = Math.max(half, room - clients.length);
  const forClients = Math.max(room - half, room - workers.length);
  const cut = ({ text, look }: Line) =>
    paint(color && look !== undefined, look ?? "bold", clipText(text, columns));
  return [
    ...summary,
    blank,
    ...table(WORKER_COLUMNS, workers.map(workerRow), forWorkers),
    blank,
    ...table(CLIENT_COLUMNS, clients.map(clientRow), forClients),
  ].map(cut);
}

interface Line {
  readonly text: string;
  readonly look?: Parameters<typeof paint>[1] | undefined;
}

const blank: Line = { text: "" };

function summaryLines({ report, time }: Sample, before: Sample | null, pool: string): Line[] {
  const { backlog, capacity, clients, ready, workers, workersWanted } = report;
  const connected = workers.filter((worker) => worker.connected);
  const paused = connected.filter((worker) => !isActive(worker)).length;
  const running = sum(connected.map((worker) => worker.running));
  const ofWorkers = connected.map(({ queue }) => queue);
  const queued = total(backlog) + sum(ofWorkers.map(total));
  const urgent = backlog.urgent + sum(ofWorkers.map((queue) => queue.urgent));
  const use = capacity > 0 ? ` (${Math.round((100 * running) / capacity)}%)` : "";
  return [
    { text: `${visible(pool)}  ${timeOfDay(time)}`, look: "bold" },
    {
      text:
        `Workers: ${connected.length} connected, ${paused} paused, ${workers.length - connected.length} disconnected` +
        (workersWanted === null ? "" : `, ${workersWanted} wanted`),
    },
    { text: `Running: ${running} of ${capacity}${use}, ${ready} more asked for` },
    {
      text:
        `Queued:  ${queued} (${urgent} urgent), ${queued - total(backlog)} of them with workers, ` +
        `from ${clients.filter((client) => total(client.queued) > 0).length} clients`,
    },
    { text: `Rates:   ${rates({ report, time }, before)}` },
    ...report.obstacles.map((obstacle, i) => ({
      text: `${i === 0 ? "Waiting:" : "        "} ${visible(describeObstacle(obstacle))}`,
    })),
  ];
}

/** `2.0/s submitted, 1.5/s started, 1.5/s finished, 0.0/s cancelled` */
function rates({ report, time }: Sample, before: Sample | null): string {
  const { totals } = report;
  if (!totals) return "not told by this scheduler";
  const earlier = before?.report.totals;
  const words = ["submitted", "started", "finished", "cancelled"] as const;
  if (!before || !earlier) return words.map((word) => `${totals[word]} ${word}`).join(", ");
  const seconds = Math.max(0.001, (time - before.time) / 1000);
  return words
    .map((word) => `${((totals[word] - earlier[word]) / seconds).toFixed(1)}/s ${word}`)
    .join(", ");
}

const WORKER_COLUMNS: readonly Column[] = [
  { head: "WORKER", keep: true },
  { head: "STATE", keep: true },
  { head: "RUNNING", align: "right", keep: true },
  { head: "QUEUED", align: "right", keep: true },
  { head: "WORK", align: "right", keep: true },
];

function workerRow(worker: WorkerReport): Row {
  const { capacity, connected, name, queue, running, work } = worker;
  const load = capacity === null ? `${running}` : `${running}/${capacity}`;
  return {
    cells: [
      visible(name),
      stateOf(worker),
      ...(connected ? [load, `${total(queue)}`, roughDuration(work)] : ["-", "-", "-"]),
    ],
    look: connected ? (isActive(worker) ? undefined : "yellow") : "red",
  };
}

const CLIENT_COLUMNS: readonly Column[] = [
  { head: "CLIENT", keep: true },
  { head: "RATE", align: "right", keep: true },
  { head: "QUEUED", align: "right", keep: true },
  { head: "URGENT", align: "right", keep: true },
  { head: "DUE IN", align: "right", keep: true },
];

function clientRow({ delay, id, queued, rate }: PoolMonitor.ClientState): Row {
  const due = delay > 0 ? roughDuration(delay) : "now";
  // Without a job there is nothing that could be due.
  const isWaiting = total(queued) > 0;
  return {
    cells: [
      visible(id),
      `${Number(rate.toPrecision(4))}`,
      `${total(queued)}`,
      `${queued.urgent}`,
      isWaiting ? due : "",
    ],
  };
}

interface Row {
  readonly cells: readonly string[];
  readonly look?: Line["look"];
}

/** A table of at most `room` lines below the heading. */
function table(columns: readonly Column[], rows: readonly Row[], room: number): Line[] {
  const shown = rows.length > room ? rows.slice(0, room - 1) : rows;
  const cells = shown.map((row) => row.cells.map(clip));
  // What is too wide is cut with the other lines.
  const [heads, ...texts] = new Table(columns, Number.POSITIVE_INFINITY).lines(cells);
  const lines: Line[] = texts.map((text, i) => ({ text, look: shown[i]!.look }));
  if (rows.length > shown.length) lines.push({ text: `… ${rows.length - shown.length} more` });
  return [{ text: heads!, look: "bold" }, ...lines];
}

/** Longer names are cut, lest they push the numbers off the screen. */
const NAME_WIDTH = 40;

function clip(text: string): string {
  return text.length > NAME_WIDTH ? `${text.slice(0, NAME_WIDTH - 1)}…` : text;
}

function isActive({ adminPause, shuttingDown, workerPause }: WorkerReport): boolean {
  return !(adminPause || shuttingDown || workerPause);
}

/** `running`, `paused`, `paused by itself`, `restarting`, `disconnected`, `disconnected, paused` */
function stateOf({ adminPause, connected, shuttingDown, workerPause }: WorkerReport): string {
  const notes = [
    ...(connected ? [] : ["disconnected"]),
    ...(adminPause ? ["paused"] : []),
    ...(workerPause ? ["paused by itself"] : []),
    ...(shuttingDown ? ["restarting"] : []),
  ];
  return notes.length === 0 ? "running" : notes.join(", ");
}

/** Local time, `16:28:30`. */
function timeOfDay(time: number): string {
  return new Date(time).toTimeString().slice(0, 8);
}

function total({ other, urgent }: PoolMonitor.JobCount): number {
  return urgent + other;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
