/**
 * The text of `show` and `dump`, made from a snapshot in small pieces.
 *
 * Jobs and waiting workers are listed in reverse: the one to be taken next is the last. Long lists
 * are filled up to the width; a list's closing bracket stays on its last line whatever its length,
 * except where said otherwise.
 */

import { visible } from "../../text/index.js";
import { LineWriter, WIDTH } from "./fill-writer.js";
import { describeReasons } from "./inactive-reasons.js";
import { roughDuration, wholeNumber } from "./printf-numbers.js";
import { reverseMerge } from "./reverse-merge.js";
import type { PoolSnapshot, WorkerSnapshot } from "./snapshot.js";
import { type Ticket, ticketBefore } from "./ticket.js";
import type { JobTraits } from "./types.js";

/** Pieces of text. They may be empty, when work was done that gives no text yet. */
type Pieces = Generator<string, void, void>;

/** About how many characters a piece has: it takes a millisecond or so to make. */
const PIECE = 16_384;

/** The whole text, ending in a newline. */
export function* render<J>(snapshot: PoolSnapshot<J>, traits: JobTraits<J>): Pieces {
  const dump = new Dump(snapshot, traits);
  yield* dump.mainQueue();
  yield* dump.aside();
  yield* dump.workers();
  yield* dump.disconnected();
  yield* dump.clients();
  if (snapshot.cached) yield* dump.cached(snapshot.cached);
  yield dump.end();
}

class Dump<J> {
  private readonly out = new LineWriter();

  constructor(
    private readonly snapshot: PoolSnapshot<J>,
    private readonly traits: JobTraits<J>,
  ) {}

  *mainQueue(): Pieces {
    const { out } = this;
    const { capacity, main } = this.snapshot;
    out.write(`capacity: ${wholeNumber(capacity)}`);
    this.heading("queue: ");
    const indent = out.position;
    if (main.mode === "backlog") {
      const { clientQueues, outOfOrder } = main.backlog;
      out.write("(backlog) [");
      const tickets = reverseMerge(clientQueues, outOfOrder, ticketBefore);
      yield* this.list(tickets, (ticket) => this.job(ticket, null), out.position);
      out.write("]");
    } else {
      out.write("(ready) [");
      // Here the closing bracket counts as part of the last element.
      const names = main.line.map(visible);
      if (names.length === 0) out.write("]");
      else names[0] += "]";
      yield* this.list(names.reverse(), (name) => name, indent);
    }
  }

  /** Not there unless there are such jobs. */
  *aside(): Pieces {
    const { clientQueues, outOfOrder } = this.snapshot.aside;
    if (clientQueues.length + outOfOrder.length === 0) return;
    this.heading("aside: [");
    const tickets = reverseMerge(clientQueues, outOfOrder, ticketBefore);
    yield* this.list(tickets, (ticket) => this.job(ticket, null), this.out.position);
    this.out.write("]");
  }

  *workers(): Pieces {
    const { out } = this;
    this.heading("registered:");
    for (const worker of this.snapshot.workers) {
      out.newLine(2);
      out.write(`${visible(worker.name)} (${worker.workload}): `);
      out.beginList(2);
      if (worker.reasons !== 0) out.write(`(inactive: ${describeReasons(worker.reasons)})`);
      else yield* this.workerQueue(worker);
      out.write(` (${worker.running} running)`);
      yield* this.piece();
    }
  }

  *disconnected(): Pieces {
    const { out } = this;
    this.heading("disconnected:");
    for (const { name, paused } of this.snapshot.disconnected) {
      out.newLine(2);
      out.write(`${visible(name)}${paused ? " (paused)" : ""}`);
      yield* this.piece();
    }
  }

  *clients(): Pieces {
    const { clients, now } = this.snapshot;
    this.heading("clients: ");
    const describe = ({ id, rate, nextStart }: (typeof clients)[number]) => {
      const delay = nextStart - now;
      const wait = delay > 0 ? `+${roughDuration(delay)}` : "";
      return `${visible(id)}(${wholeNumber(rate)})${wait}`;
    };
    yield* this.list(clients, describe, this.out.position);
  }

  /**
   * A hint and its holders stay together on a line if they fit in one; else the holders are filled.
   */
  *cached(record: NonNullable<PoolSnapshot<J>["cached"]>): Pieces {
    const { out } = this;
    this.heading("cached: ");
    const indent = out.position;
    const fits = fitsOneLine(out, record);
    let broken = false;
    for (const [i, [hint, workers]] of record.entries()) {
      const names = workers.map(visible);
      const comma = i < record.length - 1 ? "," : "";
      if (broken) out.newLine(indent);
      else if (i > 0) out.separate(`${holding(hint, names)}${comma}`, indent);
      out.write(`${visible(hint)}: `);
      broken = this.holders(names, fits ? null : indent);
      out.write(comma);
      yield* this.piece();
    }
  }

  /** The last of the text. */
  end(): string {
    this.out.newLine();
    return this.out.take();
  }

  private heading(text: string): void {
    this.out.newLine();
    this.out.write(text);
  }

  private *workerQueue({ queue, costs }: WorkerSnapshot<J>): Pieces {
    const entries = queue.map((ticket, i) => ({ ticket, cost: costs[i]! }));
    const inReverse = reverseMerge([], entries, (a, b) => ticketBefore(a.ticket, b.ticket));
    const { out } = this;
    const indent = out.position;
    out.write("[");
    if (queue.length > 0) out.beginList(indent);
    yield* this.list(inReverse, ({ ticket, cost }) => this.job(ticket, cost), out.position);
    out.write("]");
  }

  private job({ client, job, start, urgent }: Ticket<J>, cost: number | null): string {
    const wait = roughDuration(start - this.snapshot.now);
    const text = `${visible(client.id)}:${visible(this.traits.label(job))}@${wait}`;
    if (cost === null) return urgent ? `${text}+urgent` : text;
    return `${text}(${cost}${urgent ? "+urgent" : ""})`;
  }

  /** A filled list; null instead of an element is a chance for others to run. */
  private *list<T>(
    elements: Iterable<T | null>,
    describe: (element: T) => string,
    indent: number,
  ): Pieces {
    let first = true;
    for (const element of elements) {
      if (element === null) {
        yield this.out.take();
        continue;
      }
      const text = describe(element);
      if (!first) this.out.separate(text, indent);
      first = false;
      this.out.write(text);
      yield* this.piece();
    }
  }

  /**
   * Writes `[a; b]`, filled; here too the bracket counts with the last. If it does not fit where we
   * are, each name begins as a list does. Returns whether it took several lines of its own.
   *
   * @param before where it goes if it cannot begin here; null: it can.
   */
  private holders(names: readonly string[], before: number | null): boolean {
    const { out } = this;
    const fits = out.fits(`[${names.join("; ")}]`);
    if (before !== null) out.beginList(before);
    out.write("[");
    const indent = out.position;
    let broken = false;
    for (const [i, name] of names.entries()) {
      const text = `${name}${i < names.length - 1 ? ";" : "]"}`;
      if (i > 0 && out.separate(text, indent)) broken = true;
      else if (i > 0 && !fits && out.beginList(indent)) broken = true;
      out.write(text);
    }
    return broken;
  }

  private *piece(): Pieces {
    if (this.out.pending >= PIECE) yield this.out.take();
  }
}

/**
 * Whether the record of hints need not be broken. It may be long: one with more hints than columns
 * is not looked at.
 */
function fitsOneLine(
  out: LineWriter,
  record: NonNullable<PoolSnapshot<unknown>["cached"]>,
): boolean {
  if (record.length > WIDTH) return false;
  return out.fits(record.map(([hint, workers]) => holding(hint, workers.map(visible))).join(", "));
}

/** `hint: [worker; worker]` */
function holding(hint: string, workers: readonly string[]): string {
  return `${visible(hint)}: [${workers.join("; ")}]`;
}
