/**
 * How a batch goes, for people: a line that is redrawn on a terminal, and a line now and then
 * elsewhere; and what has failed.
 */
import type { Batches } from "../../api/index.js";
import type { Terminal } from "../../console/index.js";
import { clockDuration, visible } from "../../text/index.js";
import type { EndedRow } from "./batch-json.js";

/**
 * Ends by which the rate is known: the last ones, as all rows together say little of what goes on
 * now.
 */
const RECENT = 200;

/** Failed rows that are told of one by one. */
const TOLD = 20;

/** Where there is no line to be redrawn: how often there is another one, in seconds. */
const EVERY = 30;

export class BatchProgress {
  /** When the last rows ended, in Unix seconds. */
  private readonly ends: number[] = [];
  private failures = 0;
  private lastLine = 0;

  constructor(
    private readonly terminal: Terminal,
    private readonly now: () => number = () => Date.now() / 1000,
  ) {}

  state(batch: Batches.BatchRecord): void {
    const line = describeBatch(batch, this.rate(batch));
    if (this.terminal.showsStatus) {
      this.terminal.status(batch.ended === null ? line : "");
    } else if (batch.ended === null && this.now() - this.lastLine >= EVERY) {
      this.lastLine = this.now();
      this.terminal.line(line);
    }
  }

  ended({ job, key }: EndedRow): void {
    if (job.ended !== null && job.attempts.length > 0) {
      this.ends.push(job.ended);
      if (this.ends.length > RECENT) this.ends.shift();
    }
    if (job.state !== "failed") return;
    this.failures++;
    if (this.failures <= TOLD) {
      this.terminal.line(`Failed: ${visible(key)} (job ${job.job}): ${visible(job.reason)}`);
    } else if (this.failures === TOLD + 1) {
      this.terminal.line("More have failed: see `ocluster-client batch show BATCH --failed`.");
    }
  }

  close(): void {
    this.terminal.status("");
  }

  /** Rows a second that end at present; null while that is not known. */
  private rate({ ended }: Batches.BatchRecord): number | null {
    const [first] = this.ends;
    if (first === undefined || this.ends.length < 2 || ended !== null) return null;
    const seconds = this.now() - first;
    return seconds > 0 ? this.ends.length / seconds : null;
  }
}

/** `tessera: 4212 of 5000 done, 12 failed, 96 running, 692 queued; 3.2/s, 4 min 06 s left` */
export function describeBatch(batch: Batches.BatchRecord, rate: number | null = null): string {
  const { cancelled, closed, failed, queued, rows, running, succeeded } = batch;
  const done = succeeded + failed + cancelled;
  const parts = [`${done} of ${rows}${closed ? "" : " so far"} done`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (cancelled > 0) parts.push(`${cancelled} cancelled`);
  if (running > 0) parts.push(`${running} running`);
  if (queued > 0) parts.push(`${queued} queued`);
  const left = queued + running;
  const pace =
    rate === null || left === 0
      ? ""
      : `; ${rate.toPrecision(2)}/s, ${clockDuration(left / rate)} left`;
  return `${titleOf(batch)}: ${parts.join(", ")}${pace}`;
}

/** `Batch 17 (tessera)` */
export function titleOf({ batch, name }: Pick<Batches.BatchRecord, "batch" | "name">): string {
  return name === "" ? `Batch ${batch}` : `Batch ${batch} (${visible(name)})`;
}

/** What became of it: `Batch 17 (tessera) has succeeded: 5000 rows.` */
export function describeEnd(batch: Batches.BatchRecord): string {
  const { cancelled, failed, reason, rows, state, succeeded } = batch;
  const why = reason === "" ? "" : ` ${visible(reason)}`;
  if (state === "succeeded") return `${titleOf(batch)} has succeeded: ${rows} rows.`;
  const counts = `${succeeded} of ${rows} rows succeeded, ${failed} failed, ${cancelled} cancelled`;
  const how = state === "failed" ? "has failed" : `was ${state}`;
  return `${titleOf(batch)} ${how}: ${counts}.${why}`;
}
