/**
 * All that befalls a cluster, at random: programs are killed, told to end, and stopped for longer than they may be silent; the line
 * between them is cut, stalls, and is closed in one direction. Several things may go wrong at once, but a program that is
 * down or stopped is left alone until it is up again.
 */
import { sleep } from "../../src/async/index.js";
import type { Random } from "../rpc/model/random.js";
import type { Cluster } from "./cluster.js";
import type { Program } from "./programs.js";
import type { SlowLine } from "./slow-line.js";

export interface TroubleOptions {
  readonly cluster: Cluster;
  /** By which workers and clients reach the scheduler. */
  readonly line: SlowLine;
  readonly workers: readonly WorkerPlace[];
  readonly random: Random;
  /** ms for which a program that is stopped has been silent for too long, for the scheduler. */
  readonly silentMs: number;
  /** ms after which its jobs are somebody else's. */
  readonly lostMs: number;
}

/** A worker's place in the cluster: a process, and after it the next one. */
export class WorkerPlace {
  private program: Program;

  constructor(
    readonly name: string,
    private readonly start: () => Program,
  ) {
    this.program = start();
  }

  signal(signal: NodeJS.Signals): void {
    this.program.signal(signal);
  }

  /** Ends the process; resolves to its exit status. */
  async stop(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    return (await this.program.stop(signal)).code;
  }

  restart(): void {
    this.program = this.start();
  }

  describe(): string {
    return this.program.describe();
  }
}

type Trouble = () => Promise<void>;

export class Troubles {
  /** How often each kind of trouble has happened. */
  readonly counts: Record<string, number> = {};
  private readonly busy = new Set<unknown>();
  private readonly going = new Set<Promise<void>>();

  constructor(private readonly options: TroubleOptions) {}

  /** Makes trouble for so long, in ms; resolves when all are up and well again. Rejects if one does not come up. */
  async run(ms: number): Promise<void> {
    const { random } = this.options;
    const end = performance.now() + ms;
    while (performance.now() < end) {
      this.begin();
      await Promise.race([sleep(100 + random.below(600)), this.failure()]);
    }
    await Promise.all(this.going);
  }

  private failure(): Promise<void> {
    // Those that go well say nothing.
    return Promise.race(
      [...this.going].map((trouble) => trouble.then(() => new Promise<void>(() => {}))),
    );
  }

  private begin(): void {
    const { cluster, line, random, workers } = this.options;
    const dice = random.below(8);
    if (dice < 2) this.befall(line, this.lineTrouble());
    else if (dice < 4) this.befall(cluster, this.schedulerTrouble());
    else {
      const worker = random.pick(workers)!;
      this.befall(worker, this.workerTrouble(worker));
    }
  }

  private befall(whom: unknown, trouble: Trouble): void {
    if (this.busy.has(whom)) return;
    this.busy.add(whom);
    const done = trouble().finally(() => {
      this.busy.delete(whom);
      this.going.delete(done);
    });
    done.catch(() => {}); // It is waited for by `run`.
    this.going.add(done);
  }

  private lineTrouble(): Trouble {
    const { line, random, silentMs } = this.options;
    switch (random.below(4)) {
      case 0:
        return async () => {
          this.count("cuts of all connections");
          line.cut();
        };
      case 1:
        return async () => {
          this.count("cuts");
          random.pick(line.ends)?.destroy();
        };
      case 2:
        return async () => {
          this.count("half-closed connections");
          random.pick(line.ends)?.end();
        };
      default:
        return async () => {
          this.count("stalls");
          const resume = line.stall();
          await sleep(random.below(2 * silentMs));
          resume();
        };
    }
  }

  private schedulerTrouble(): Trouble {
    const { cluster, random } = this.options;
    if (random.once(4)) return () => this.pause("the scheduler", cluster.scheduler);
    return async () => {
      this.count("kills of the scheduler");
      await cluster.scheduler.stop("SIGKILL");
      await sleep(random.below(500));
      // Some are killed while they start.
      for (; random.once(3); this.count("kills of a starting scheduler")) {
        const ready = cluster.restartScheduler().catch(() => {});
        await Promise.race([ready, sleep(random.below(600))]);
        await cluster.scheduler.stop("SIGKILL");
      }
      await cluster.restartScheduler();
    };
  }

  private workerTrouble(worker: WorkerPlace): Trouble {
    const { lostMs, random } = this.options;
    switch (random.below(5)) {
      case 0:
        return () => this.pause("a worker", worker);
      case 1:
        return async () => {
          this.count("ends of a worker");
          await worker.stop("SIGTERM");
          worker.restart();
        };
      default:
        return async () => {
          this.count("kills of a worker");
          await worker.stop("SIGKILL");
          await sleep(random.once(4) ? lostMs : random.below(800));
          worker.restart();
        };
    }
  }

  /** Long enough for others to notice; sometimes for so long that they have given it up. */
  private async pause(name: string, program: Pick<Program, "signal">): Promise<void> {
    const { lostMs, random, silentMs } = this.options;
    this.count(`times that ${name} was stopped for a while`);
    program.signal("SIGSTOP");
    await sleep(silentMs + (random.once(3) ? lostMs : random.below(1000)));
    program.signal("SIGCONT");
  }

  private count(kind: string): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }
}
