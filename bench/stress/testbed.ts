/**
 * The whole testbed: clients are made known to the scheduler, workers join, everybody does as told
 * until the time is up, and is taken away again.
 */
import { Admin, Persistent, PoolAdmin } from "../../src/api/index.js";
import { sleep } from "../../src/async/sleep.js";
import { withService } from "../../src/client/session.js";
import { logger } from "../../src/console/log.js";
import type { Capability, SturdyRef } from "../../src/rpc/index.js";
import { SimulatedClient } from "./client.js";
import { type Figures, table } from "./figures.js";
import type { Profile } from "./profile.js";
import { Random } from "./random.js";
import type { Caps } from "./scheduler.js";
import { runSimulatedWorker } from "./worker.js";

export interface TestbedOptions {
  readonly caps: Caps;
  readonly pool: string;
  readonly profiles: readonly Profile[];
  readonly workers: number;
  readonly capacity: number;
  /** Seconds that a worker stays, on average; undefined: to the end. */
  readonly workerLife?: number | undefined;
  /** For the workers' state. */
  readonly directory: string;
  /** Seconds between two tables of figures. */
  readonly report: number;
  readonly seed: number;
  print(text: string): void;
}

const log = logger("stress");

/** Names that cannot be confused with those of users: what is called so may be removed. */
const PREFIX = "stress-";

/** Resolves with the clients' figures when `signal` was aborted and everybody is gone. */
export async function runTestbed(
  options: TestbedOptions,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Figures>> {
  const { caps, pool, profiles, seed } = options;
  const refs = await withService(caps.admin, (admin) => addClients(admin, pool, profiles));
  const clients = profiles.map(
    (profile, index) => new SimulatedClient(pool, profile, new Random(seed + index)),
  );
  const workers = Array.from({ length: options.workers }, (_, index) => `${PREFIX}${index + 1}`);
  const figures = new Map(
    clients.map((client, index) => [profiles[index]!.name, client.figures] as const),
  );
  const failed = new AbortController();
  const end = AbortSignal.any([signal, failed.signal]);
  const all = [
    ...clients.map((client, index) => client.run(refs[index]!, end)),
    ...workers.map((name, index) =>
      runSimulatedWorker(
        {
          connect: caps.pool,
          name,
          capacity: options.capacity,
          directory: options.directory,
          life: options.workerLife,
          random: new Random(seed + profiles.length + index),
        },
        end,
      ),
    ),
    report(options, figures, end),
  ];
  try {
    await Promise.all(all);
  } finally {
    failed.abort(); // If one has failed the others shall not go on without it.
    await Promise.allSettled(all);
    await withService(caps.admin, (admin) => removeAll(admin, pool, profiles, workers), {
      quiet: true,
    });
  }
  return figures;
}

async function addClients(
  admin: Capability,
  poolName: string,
  profiles: readonly Profile[],
): Promise<SturdyRef[]> {
  using pool = Admin.pool(admin, poolName);
  const known = await Admin.listClients(admin);
  const refs: SturdyRef[] = [];
  for (const { name, rate } of profiles) {
    const id = PREFIX + name;
    // Of a run that could not clean up.
    if (known.includes(id)) await Admin.removeClient(admin, id);
    using submission = Admin.addClient(admin, id);
    refs.push(await Persistent.save(submission));
    await PoolAdmin.setRate(pool, id, rate);
  }
  return refs;
}

async function removeAll(
  admin: Capability,
  poolName: string,
  profiles: readonly Profile[],
  workers: readonly string[],
): Promise<void> {
  using pool = Admin.pool(admin, poolName);
  const outcomes = await Promise.allSettled([
    ...profiles.map(({ name }) => Admin.removeClient(admin, PREFIX + name)),
    ...workers.map((name) => PoolAdmin.forget(pool, name)),
  ]);
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") log.warn(`Cannot clean up: ${outcome.reason}`);
  }
}

async function report(
  { print, report: interval }: TestbedOptions,
  figures: ReadonlyMap<string, Figures>,
  signal: AbortSignal,
): Promise<void> {
  const begin = performance.now();
  while (!signal.aborted) {
    await sleep(interval * 1000, signal).catch(() => {});
    if (!signal.aborted) print(table(Math.round((performance.now() - begin) / 1000), figures));
  }
}
