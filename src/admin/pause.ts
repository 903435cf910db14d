/** `pause` and `unpause`: whether workers are given jobs. */
import { PoolAdmin } from "../api/index.js";
import type { Capability } from "../rpc/index.js";
import { quoted } from "../text/index.js";
import { chooseWorker } from "./choice.js";
import { withPool } from "./named-pool.js";
import { printLine } from "./output.js";

export interface PauseOptions {
  readonly active: boolean;
  readonly all: boolean;
  /** Also a worker that never registered. */
  readonly autoCreate: boolean;
  /** Until the workers run nothing. */
  readonly wait: boolean;
}

export async function setActive(
  admin: Capability,
  poolName: string,
  worker: string | undefined,
  options: PauseOptions,
): Promise<void> {
  await withPool(admin, poolName, (pool) => setActiveIn(pool, worker, options));
}

async function setActiveIn(
  pool: Capability,
  worker: string | undefined,
  { active, autoCreate, all, wait }: PauseOptions,
): Promise<void> {
  if (worker !== undefined) {
    await PoolAdmin.setActive(pool, worker, active, { autoCreate });
    if (wait) await drain(pool, [worker]);
    printLine("Success.");
    return;
  }
  const workers = await PoolAdmin.workers(pool);
  if (workers.length === 0) {
    printLine("No workers connected to pool (nothing to do).");
    return;
  }
  if (!all) {
    throw chooseWorker("Specify which worker you want to affect (or use --all).", workers);
  }
  for (const each of workers) {
    if (each.active === active) printLine(`(worker ${quoted(each.name)} is already done)`);
  }
  const names = workers.filter((each) => each.active !== active).map(({ name }) => name);
  if (names.length === 0) {
    printLine("Nothing to do.");
    return;
  }
  printLine(`Updating ${names.join(", ")}…`);
  await Promise.all(names.map((name) => PoolAdmin.setActive(pool, name, active)));
  if (wait) await drain(pool, names);
  printLine("Success.");
}

async function drain(pool: Capability, names: readonly string[]): Promise<void> {
  printLine("Waiting for jobs to finish…");
  await Promise.all(
    names.map((name) => PoolAdmin.drain(pool, name, (status) => printLine(`${name}: ${status}`))),
  );
}
