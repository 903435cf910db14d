/**
 * All that befalls a cluster, at random: programs are killed, told to end, and stopped for longer
 * than they may be silent; the line between them is cut, stalls, and is closed in one direction.
 * Several things may go wrong at once, but a program that is down or stopped is left alone until it
 * is up again.
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

  /**
   * Starts the next process; resolves when it asks the scheduler for jobs, or has as many as it can
   * run.
   */
  async restart(): Promise<void> {
    this.program = this.start();
    await this.program.sees("stderr", /Requesting a new job|At capacity/);
  }

  describe(): string {
    return this.program.describe();
  }
}

/** A kind of trouble. */
interface Kind {
  /** What it happens to; several of them are at random. */
  whom(): unknown;
  /** It happens to the one that was chosen; resolves when that is up and well again. */
  happen(whom: unknown): Promise<void>;
  /** How likely it is, among the others. */
  readonly weight: number;
}

export class Troubles {
  /** How often each kind of trouble has happened. */
  readonly counts: Record<string, number> = {};
  private readonly kinds: readonly Kind[];
  private readonly busy = new Set<unknown>();
  private readonly going = new Set<Promise<void>>();

  constructor(private readonly options: TroubleOptions) {
    this.kinds = [...this.lineTroubles(), ...this.schedulerTroubles(), ...this.workerTroubles()];
  }

  /**
   * Makes trouble for so long, in ms; resolves when all are up and well again. Rejects if one does
   * not come up.
   */
  async run(ms: number): Promise<void> {
    const { random } = this.options;
    const raffle = this.kinds.flatMap((kind) => Array<Kind>(kind.weight).fill(kind));
    const end = performance.now() + ms;
    while (performance.now() < end) {
      const kind = random.pick(raffle)!;
      const whom = kind.whom();
      if (!this.busy.has(whom)) this.befall(whom, kind);
      await this.breathe();
    }
    await Promise.all(this.going);
  }

  /** Makes each kind of trouble once, in any order, as `run`. */
  async runEach(): Promise<void> {
    const { random } = this.options;
    for (const left = [...this.kinds]; left.length > 0; ) {
      const [kind] = left.splice(random.below(left.length), 1);
      let whom = kind!.whom();
      while (this.busy.has(whom)) {
        await Promise.race(this.going);
        whom = kind!.whom();
      }
      this.befall(whom, kind!);
      await this.breathe();
    }
    await Promise.all(this.going);
  }

  private async breathe(): Promise<void> {
    await Promise.race([sleep(100 + this.options.random.below(600)), this.failure()]);
  }

  private failure(): Promise<void> {
    // Those that go well say nothing.
    return Promise.race(
      [...this.going].map((trouble) => trouble.then(() => new Promise<void>(() => {}))),
    );
  }

  private befall(whom: unknown, kind: Kind): void {
    this.busy.add(whom);
    const done = kind.happen(whom).finally(() => {
      this.busy.delete(whom);
      this.going.delete(done);
    });
    done.catch(() => {}); // It is waited for by `run`.
    this.going.add(done);
  }

  private lineTroubles(): Kind[] {
    const { line, random, silentMs } = this.options;
    const kind = (name: string, trouble: () => void | Promise<void>): Kind => ({
      whom: () => line,
      happen: async () => {
        this.count(name);
        await trouble();
      },
      weight: 3,
    });
    return [
      kind("cuts of all connections", () => line.cut()),
      kind("cuts", () => void random.pick(line.ends)?.destroy()),
      kind("half-closed connections", () => void random.pick(line.ends)?.end()),
      kind("stalls", async () => {
        const resume = line.stall();
        await sleep(random.below(2 * silentMs));
        resume();
      }),
    ];
  }

  private schedulerTroubles(): Kind[] {
    const { cluster, random } = this.options;
    const whom = () => cluster;
    const pause = () => this.pause("the scheduler", cluster.scheduler);
    const kill = async () => {
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
    return [
      { whom, happen: pause, weight: 3 },
      { whom, happen: kill, weight: 9 },
    ];
  }

  private workerTroubles(): Kind[] {
    const { lostMs, random, workers } = this.options;
    const kind = (weight: number, trouble: (worker: WorkerPlace) => Promise<void>): Kind => ({
      whom: () => random.pick(workers)!,
      happen: (worker) => trouble(worker as WorkerPlace),
      weight,
    });
    return [
      kind(5, (worker) => this.pause("a worker", worker)),
      kind(5, async (worker) => {
        this.count("ends of a worker");
        await worker.stop("SIGTERM");
        await worker.restart();
      }),
      kind(14, async (worker) => {
        this.count("kills of a worker");
        await worker.stop("SIGKILL");
        await sleep(random.once(4) ? lostMs : random.below(800));
        await worker.restart();
      }),
    ];
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
