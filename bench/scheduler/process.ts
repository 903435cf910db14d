/**
 * A scheduler in a process of its own, so that what it takes can be told from what its load takes.
 *
 * The process is this program itself, started again. It answers questions about itself; everything
 * else about it is real.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { DEFAULT_LIMITS, readCapFile, type SturdyRef } from "../../src/rpc/index.js";
import { runScheduler } from "../../src/scheduler/main.js";
import { DEFAULT_CLIENT_LIMITS } from "../../src/scheduler/services/client-limits.js";
import { DEFAULT_DURABLE_SETTINGS } from "../../src/scheduler/services/durable-settings.js";
import { BlockMonitor, workTime } from "./blocks.js";

/** What the process says about itself. */
export interface Stats {
  /** Processor time used since it was started, in µs. */
  readonly cpu: number;
  /** Of that, what the main thread has used, in µs. */
  readonly work: number;
  /** Resident memory, in bytes, after a garbage collection if that was asked for. */
  readonly rss: number;
  /** The longest time since the last question for which nothing else could run, in ms. */
  readonly longestBlock: number;
  /** The most processor time taken meanwhile without letting anything else run, in ms. */
  readonly longestWork: number;
}

const POOL = "bench";

/**
 * What the answer to a question waits for, in ms, so that what the question takes is not in the
 * answer to the next.
 */
const PAUSE_MS = 50;
const CLIENT = "client";

export interface SchedulerOptions {
  readonly tls: boolean;
  /** Whether attached jobs are on record. Default: they are. */
  readonly history?: boolean;
  /** Puts what is to be there before it starts into its directories. */
  prepare?(directories: SchedulerDirectories): void;
}

export interface SchedulerDirectories {
  readonly state: string;
  readonly secrets: string;
}

export class SchedulerProcess {
  private constructor(
    private child: ChildProcess,
    private readonly directory: string,
    private readonly options: SchedulerOptions,
  ) {}

  static async start(options: SchedulerOptions): Promise<SchedulerProcess> {
    const directory = mkdtempSync(join(tmpdir(), "ocluster-bench-"));
    for (const name of ["secrets", "state"]) mkdirSync(join(directory, name));
    options.prepare?.(directoriesIn(directory));
    return new SchedulerProcess(await launch(directory, options, 0), directory, options);
  }

  /** Kills it as the system does, and starts it again, at the same port. */
  async restart(): Promise<void> {
    const { address } = this.pool;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
    const port = address.kind === "tcp" ? address.port : 0;
    this.child = await launch(this.directory, this.options, port);
  }

  get pool(): SturdyRef {
    return this.ref(`pool-${POOL}`);
  }

  get admin(): SturdyRef {
    return this.ref("admin");
  }

  get client(): SturdyRef {
    return this.ref(`submit-${CLIENT}`);
  }

  async stats(options: { readonly collectGarbage?: boolean } = {}): Promise<Stats> {
    this.child.send({ collectGarbage: options.collectGarbage ?? false });
    const [stats] = await once(this.child, "message");
    return stats as Stats;
  }

  async stop(): Promise<void> {
    this.child.kill("SIGTERM");
    await once(this.child, "exit");
    rmSync(this.directory, { recursive: true });
  }

  private ref(name: string): SturdyRef {
    return readCapFile(join(this.directory, "secrets", `${name}.cap`));
  }
}

async function launch(
  directory: string,
  { history = true, tls }: SchedulerOptions,
  port: number,
): Promise<ChildProcess> {
  const task: Task = { directory, tls, history, port };
  const child = fork(process.argv[1]!, ["--as-scheduler", JSON.stringify(task)], {
    execArgv: [...process.execArgv, ...(process.env.SCHEDULER_NODE_OPTIONS?.split(" ") ?? [])],
  });
  await once(child, "message");
  return child;
}

/** What the started program is told. */
interface Task {
  readonly directory: string;
  readonly tls: boolean;
  readonly history: boolean;
  /** 0: any. */
  readonly port: number;
}

function directoriesIn(directory: string): SchedulerDirectories {
  return { state: join(directory, "state"), secrets: join(directory, "secrets") };
}

/** The scheduler's key, in the directory of secrets. */
export function keyFile(secrets: string): string {
  return join(secrets, "key.pem");
}

/** The other side: what the started program does. */
export async function beScheduler(task: string): Promise<void> {
  const { directory, history, port, tls } = JSON.parse(task) as Task;
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const blocks = new BlockMonitor();
  process.on("message", (question: { readonly collectGarbage: boolean }) => {
    const { longest: longestBlock, longestWork } = blocks;
    if (question.collectGarbage) collectGarbage();
    setTimeout(() => {
      const { user, system } = process.cpuUsage();
      const rss = process.memoryUsage.rss();
      process.send!({
        cpu: user + system,
        work: workTime() * 1000,
        rss,
        longestBlock,
        longestWork,
      });
      blocks.reset();
    }, PAUSE_MS);
  });
  const stop = new AbortController();
  for (const end of ["SIGTERM", "disconnect"]) process.once(end, () => stop.abort());
  const { secrets, state } = directoriesIn(directory);
  await runScheduler(
    {
      secretKeyFile: keyFile(secrets),
      listen: { kind: "tcp", host: "127.0.0.1", port },
      publicAddress: undefined,
      tls,
      pools: [POOL],
      secretsDir: secrets,
      stateDir: state,
      estimates: "learned",
      backups: true,
      scaleTarget: 300,
      prometheus: undefined,
      defaultClients: [CLIENT],
      clientLimits: DEFAULT_CLIENT_LIMITS,
      durable: { ...DEFAULT_DURABLE_SETTINGS, history },
      relayBytes: DEFAULT_LIMITS.outboundAbortBytes,
      liveness: { intervalMs: 30_000, timeoutMs: 30_000 },
      onReady: () => process.send!("ready"),
    },
    stop.signal,
  );
  if (process.connected) process.disconnect();
}

export { CLIENT, POOL };
