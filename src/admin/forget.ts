/** `forget`: drops a worker that will not come back from the list. */
import { PoolAdmin } from "../api/index.js";
import { CommandFailed } from "../console/index.js";
import type { Capability } from "../rpc/index.js";
import { chooseWorker } from "./choice.js";
import { withPool } from "./named-pool.js";

export async function forget(
  admin: Capability,
  poolName: string,
  worker: string | undefined,
): Promise<void> {
  await withPool(admin, poolName, async (pool) => {
    if (worker !== undefined) {
      await PoolAdmin.forget(pool, worker);
      return;
    }
    const workers = await PoolAdmin.workers(pool);
    if (workers.length === 0) throw new CommandFailed("No workers in pool!");
    const disconnected = workers.filter(({ connected }) => !connected);
    const candidates = disconnected.length > 0 ? disconnected : workers;
    throw chooseWorker("Specify which worker you want to forget.", candidates);
  });
}
