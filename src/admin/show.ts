/**
 * `show`: the pools, a pool's state, or a worker's. Of a worker that is not known it fails, and
 * says which are.
 */
import { Admin, PoolAdmin } from "../api/index.js";
import { CommandFailed } from "../console/index.js";
import type { Capability } from "../rpc/index.js";
import { withPool } from "./named-pool.js";
import { describeWorker, printJson, printLine } from "./output.js";

export interface ShowOptions {
  /** Only names, and a worker's state without its name. */
  readonly terse: boolean;
  readonly json: boolean;
}

export async function show(
  admin: Capability,
  poolName: string | undefined,
  workerName: string | undefined,
  options: ShowOptions,
): Promise<void> {
  if (poolName === undefined) return showPools(admin, options);
  await withPool(admin, poolName, (pool) =>
    workerName === undefined
      ? showPool(pool, poolName, options)
      : showWorker(pool, workerName, options),
  );
}

async function showPools(admin: Capability, { json }: ShowOptions): Promise<void> {
  const pools = await Admin.pools(admin);
  if (json) printJson({ pools });
  else for (const name of pools) printLine(name);
}

async function showPool(
  pool: Capability,
  name: string,
  { terse, json }: ShowOptions,
): Promise<void> {
  if (json) {
    const [workers, state] = await Promise.all([PoolAdmin.workers(pool), PoolAdmin.show(pool)]);
    printJson({ pool: name, workers, state });
  } else if (terse) {
    for (const worker of await PoolAdmin.workers(pool)) printLine(worker.name);
  } else {
    printLine((await PoolAdmin.show(pool)).trim());
  }
}

async function showWorker(
  pool: Capability,
  name: string,
  { terse, json }: ShowOptions,
): Promise<void> {
  const workers = await PoolAdmin.workers(pool);
  const worker = workers.find((each) => each.name === name);
  if (json) {
    printJson(worker ?? null);
    return;
  }
  const status = worker ? (worker.active ? "Running" : "Paused") : "Not found";
  printLine(terse ? status : `${name}: ${status}`);
  // Scripts ask tersely, and find "Not found" an answer like any other.
  if (worker || terse) return;
  throw new CommandFailed(
    workers.length === 0
      ? "No workers in pool!"
      : ["Known workers are:", ...workers.map(describeWorker)].join("\n"),
  );
}
