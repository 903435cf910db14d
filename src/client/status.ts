/**
 * The status line of somebody who waits for a job: what it is doing, and for how long.
 */
import { AbleQueue, type Ticket } from "../api/index.js";
import type { Terminal } from "../console/index.js";
import { clockDuration, visible } from "../text/index.js";

/** The first line of a worker's log, which says who it is. */
const BUILDING_ON = /^Building on ([^\n]*)\n/;

export class JobStatus {
  private readonly started = Date.now();
  private phase = "waiting for a worker";
  private head: string | null = "";
  private lineOpen = false;
  private ended = false;
  private timer: NodeJS.Timeout | undefined;

  /** Shows nothing until `begin`. @param enabled false: nor later. */
  constructor(
    private readonly terminal: Terminal,
    private readonly enabled: boolean,
  ) {}

  /** The scheduler has the job. */
  begin(): void {
    if (this.timer || this.ended) return;
    this.timer = setInterval(() => this.draw(), 1000);
    this.timer.unref();
    this.draw();
  }

  /** Whether there is somebody to show it to. */
  get isShown(): boolean {
    return this.enabled && this.terminal.showsStatus;
  }

  /** The job is queued there, or has left the queue (null). Once there is a log it knows better. */
  queued(place: Ticket.QueuePlace | null, pool: string): void {
    if (this.head !== "") return;
    this.phase = place ? describePlace(place, pool) : "starting";
    this.draw();
  }

  /** Who knows better than the log says what the job is doing. */
  phaseIs(phase: string): void {
    this.head = null;
    this.phase = phase;
    this.begin();
    this.draw();
  }

  /** Has `write` show a part of the log on the same terminal, and learns from it. */
  log(data: Uint8Array, write: () => void): void {
    if (this.head !== null) this.learn(data);
    this.lineOpen = data.at(-1) !== NEWLINE;
    this.terminal.status("");
    write();
    this.draw();
  }

  /** Takes the line away, for good. */
  end(): void {
    this.ended = true;
    clearInterval(this.timer);
    this.terminal.status("");
  }

  private learn(data: Uint8Array): void {
    this.head += Buffer.from(data.subarray(0, HEAD)).toString();
    const worker = BUILDING_ON.exec(this.head!)?.[1];
    if (worker !== undefined) this.phase = `running on ${visible(worker)}`;
    else if (!this.head!.includes("\n") && this.head!.length < HEAD) return;
    else this.phase = "running";
    this.head = null;
  }

  private draw(): void {
    // The line would overwrite a line of the log that has not ended yet.
    if (!this.enabled || !this.timer || this.ended || this.lineOpen) return;
    this.terminal.status(
      `[ ${this.phase} · ${clockDuration((Date.now() - this.started) / 1000)} ]`,
    );
  }
}

/**
 * `waiting (position 17 of 120 in linux-x86_64)`; jobs that are put aside for a worker wait `for`
 * it.
 */
function describePlace(place: Ticket.QueuePlace, pool: string): string {
  const { ahead, lacking = [], length, worker } = place;
  if (lacking.length > 0) {
    const what = lacking.map(AbleQueue.describeAbility).join(" and ");
    return `waiting: no worker in ${visible(pool)} can ${what}`;
  }
  const queue = worker === null ? `in ${visible(pool)}` : `for ${visible(worker)}`;
  return `waiting (position ${ahead + 1} of ${length} ${queue})`;
}

const NEWLINE = 10;

/** How many bytes of the log are looked at for the worker's name. */
const HEAD = 256;
