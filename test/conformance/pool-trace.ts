/**
 * Carries out pool traces: operations on one pool, as described in `test/golden/pool/README.md`.
 *
 * The pool is the real one over the real store, with a database in memory; only the clock is the
 * driver's, and settling is done when the trace says so.
 */

import { INACTIVE, type InactiveReason } from "../../src/scheduler/pool/inactive-reasons.js";
import { Pool } from "../../src/scheduler/pool/pool.js";
import type { PoolWorker } from "../../src/scheduler/pool/pool-worker.js";
import type { Ticket } from "../../src/scheduler/pool/ticket.js";
import { Store } from "../../src/scheduler/state/store.js";
import { compareLines, parseTrace, TraceError } from "./trace.js";

interface Job {
  readonly name: string;
  readonly hint: string;
  readonly avoids: readonly string[];
  readonly needs: readonly string[];
}

const COSTS = { cached: 2, nonCached: 10 };

const REASONS: Readonly<Record<string, InactiveReason>> = {
  worker: INACTIVE.worker,
  "admin-pause": INACTIVE.adminPause,
  shutdown: INACTIVE.shutdown,
};

const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, false: false };

/**
 * Runs a trace. Returns lines that tell how it differs from what was expected, none if it passes.
 * An operation that fails, or that cannot be understood, ends the trace.
 */
export function runPoolTrace(text: string): string[] {
  const report: string[] = [];
  const driver = new Driver();
  try {
    for (const { line, name, args, expected } of parseTrace(text)) {
      const title = `line ${line}: ${[name, ...args].join(" ")}`;
      try {
        const printed = driver.run(name, args).map((printedLine) => printedLine.trimEnd());
        const difference = compareLines(expected, printed);
        if (difference.length > 0) report.push(title, ...difference.map((text) => `  ${text}`));
      } catch (error) {
        report.push(title, `  ! ${error instanceof TraceError ? error.message : String(error)}`);
        break;
      }
    }
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    report.push(error.message);
  } finally {
    driver.close();
  }
  return report;
}

/** The state of a pop as a trace sees it: a job's name, `finished` or `pending`. */
interface PopVariable {
  state: string;
}

class Driver {
  private now = 1;
  private store: Store | null = null;
  private current: Pool<Job> | null = null;
  private readonly workers = new Map<string, PoolWorker<Job>>();
  private readonly clients = new Set<string>();
  private readonly tickets = new Map<string, Ticket<Job>>();
  private readonly pops = new Map<string, PopVariable>();

  /** The operations: they get their arguments and return the lines they print. */
  private readonly operations: Readonly<Record<string, (args: Arguments) => string[]>> = {
    pool: (args) => this.open(args.word("NAME")),
    reopen: () => this.reopen(this.pool.name),
    register: (args) => this.register(args.word("WORKER"), args.number("CAPACITY")),
    "set-active": (args) => {
      const worker = this.worker(args);
      const active = args.oneOf("BOOL", BOOLEANS);
      return quietly(() => worker.setActive(active, args.oneOf("REASON", REASONS)));
    },
    "with-worker": (args) => {
      const name = args.word("WORKER");
      const active = args.oneOf("BOOL", BOOLEANS);
      const reason = args.oneOf("REASON", REASONS);
      return quietly(() =>
        this.pool.withWorker(name, (worker) => worker.setActive(active, reason)),
      );
    },
    shutdown: (args) => quietly(() => this.worker(args).shutdown()),
    release: (args) => quietly(() => this.worker(args).release()),
    learn: (args) => {
      const worker = this.worker(args);
      return quietly(() => worker.learn(new Set(args.words())));
    },
    forget: (args) => [this.pool.forget(args.word("WORKER"))],
    "known-workers": () =>
      this.pool
        .knownWorkers()
        .map(({ name, connected, active }) => `${name} connected=${connected} active=${active}`),
    client: (args) => quietly(() => this.clients.add(this.pool.client(args.word("CLIENT")).id)),
    "remove-client": (args) => {
      const { id } = this.client(args);
      this.clients.delete(id);
      return quietly(() => this.pool.removeClient(id));
    },
    "set-rate": (args) => quietly(() => this.client(args).setRate(args.number("RATE"))),
    submit: (args) => this.submit(args),
    cancel: (args) => {
      this.client(args);
      return [find(this.tickets, args.word("TICKET"), "ticket").cancel() ? "cancelled" : "error"];
    },
    pop: (args) => {
      const worker = this.worker(args);
      const name = args.option("as");
      const variable = this.pop(worker);
      return quietly(() => name !== undefined && this.pops.set(name, variable));
    },
    state: (args) => [find(this.pops, args.word("VAR"), "pop").state],
    "job-finished": (args) => quietly(() => this.worker(args).jobFinished()),
    advance: (args) => {
      const seconds = args.number("SECONDS");
      return quietly(() => {
        this.now += seconds;
      });
    },
    settle: () => quietly(() => this.pool.settle()),
    flush: (args) => this.flush(this.worker(args)),
    dump: () => lines(this.pool.dump()),
    show: () => lines(this.pool.show()),
  };

  run(operation: string, words: readonly string[]): string[] {
    const carryOut = Object.hasOwn(this.operations, operation) && this.operations[operation];
    if (!carryOut) throw new TraceError(`no such operation: ${operation}`);
    const args = new Arguments(words);
    const printed = carryOut(args);
    args.end();
    return printed;
  }

  close(): void {
    this.store?.close();
  }

  private open(name: string): string[] {
    this.store?.close();
    this.store = Store.open(":memory:");
    return this.reopen(name);
  }

  private reopen(name: string): string[] {
    for (const names of [this.workers, this.clients, this.tickets, this.pops]) names.clear();
    this.current = new Pool<Job>({
      name,
      clock: () => this.now,
      store: this.store!.pool(name),
      traits: {
        hint: ({ hint }) => hint,
        costs: () => COSTS,
        label: ({ name }) => name,
        avoids: ({ avoids }) => avoids,
        needs: ({ needs }) => needs,
      },
      defer: () => {},
    });
    return [];
  }

  private register(name: string, capacity: number): string[] {
    const worker = this.pool.register(name, capacity);
    if (!worker) return ["name taken"];
    this.workers.set(name, worker);
    return [];
  }

  private submit(args: Arguments): string[] {
    const client = this.client(args);
    const name = args.word("JOB");
    const hint = args.option("hint") ?? "";
    const urgent = args.flag("urgent");
    const variable = args.option("as");
    const avoids = args.option("avoid")?.split(",") ?? [];
    const needs = args.option("needs")?.split(",") ?? [];
    const ticket = client.submit({ name, hint, avoids, needs }, { urgent });
    if (variable !== undefined) this.tickets.set(variable, ticket);
    return [];
  }

  private pop(worker: PoolWorker<Job>): PopVariable {
    const variable = { state: "pending" };
    worker.pop((ticket) => {
      variable.state = ticket ? ticket.job.name : "finished";
    });
    return variable;
  }

  private flush(worker: PoolWorker<Job>): string[] {
    const printed: string[] = [];
    while (!worker.released) {
      const variable = this.pop(worker);
      this.pool.settle();
      if (variable.state === "pending") worker.release();
      else printed.push(`Flush ${variable.state}`);
    }
    return printed;
  }

  private get pool(): Pool<Job> {
    if (!this.current) throw new TraceError("the first operation must be: pool NAME");
    return this.current;
  }

  private worker(args: Arguments): PoolWorker<Job> {
    return find(this.workers, args.word("WORKER"), "worker");
  }

  private client(args: Arguments) {
    const id = args.word("CLIENT");
    if (!this.clients.has(id)) throw new TraceError(`unknown client: ${id}`);
    return this.pool.client(id);
  }
}

/**
 * The words after an operation. Words by position are asked for first, then options, in any order.
 */
class Arguments {
  private readonly rest: string[];

  constructor(words: readonly string[]) {
    this.rest = [...words];
  }

  word(what: string): string {
    const word = this.rest.shift();
    if (word === undefined) throw new TraceError(`${what} is missing`);
    return word;
  }

  /** All that are left. */
  words(): string[] {
    return this.rest.splice(0);
  }

  number(what: string): number {
    const word = this.word(what);
    const value = Number(word);
    if (Number.isNaN(value)) throw new TraceError(`${what} must be a number, not ${word}`);
    return value;
  }

  oneOf<T>(what: string, values: Readonly<Record<string, T>>): T {
    const word = this.word(what);
    if (!Object.hasOwn(values, word)) {
      throw new TraceError(`${what} must be one of ${Object.keys(values).join(", ")}, not ${word}`);
    }
    return values[word]!;
  }

  /** The value of `NAME=VALUE`. */
  option(name: string): string | undefined {
    const index = this.rest.findIndex((word) => word.startsWith(`${name}=`));
    return index < 0 ? undefined : this.rest.splice(index, 1)[0]!.slice(name.length + 1);
  }

  flag(name: string): boolean {
    const index = this.rest.indexOf(name);
    if (index >= 0) this.rest.splice(index, 1);
    return index >= 0;
  }

  /** Complains about what nobody asked for. */
  end(): void {
    if (this.rest.length > 0) throw new TraceError(`not understood: ${this.rest.join(" ")}`);
  }
}

function find<T>(names: ReadonlyMap<string, T>, name: string, what: string): T {
  const found = names.get(name);
  if (found === undefined) throw new TraceError(`unknown ${what}: ${name}`);
  return found;
}

function quietly(action: () => unknown): string[] {
  action();
  return [];
}

function lines(text: string): string[] {
  return text.trimEnd().split("\n");
}
