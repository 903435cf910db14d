/** `update`: has workers restart themselves with a new version, one first and then the others. */
import { PoolAdmin } from "../api/index.js";
import { CommandFailed } from "../console/index.js";
import type { Capability } from "../rpc/index.js";
import { quoted } from "../text/index.js";
import { withPool } from "./named-pool.js";
import { printLine } from "./output.js";

export async function update(
  admin: Capability,
  poolName: string,
  worker: string | undefined,
): Promise<void> {
  await withPool(admin, poolName, async (pool) => {
    if (worker === undefined) {
      await updateAll(pool);
    } else {
      await updateOne(pool, worker);
      printLine("Restarted");
    }
  });
}

async function updateAll(pool: Capability): Promise<void> {
  const workers = await PoolAdmin.workers(pool);
  const names = workers.filter(({ connected }) => connected).map(({ name }) => name);
  const [canary, ...others] = names;
  if (canary === undefined) throw new CommandFailed("No workers connected to pool!");
  printLine(`Testing update on first worker in pool: ${quoted(canary)}`);
  await updateOne(pool, canary);
  printLine(`Canary updated OK. Updating the others: [${others.join(" ")}]`);
  const outcomes = await Promise.allSettled(
    others.map(async (name) => {
      try {
        await updateOne(pool, name);
        printLine(`${quoted(name)} restarted OK.`);
      } catch (error) {
        printLine(`${quoted(name)}: ${error}`);
        throw error;
      }
    }),
  );
  if (outcomes.some(({ status }) => status === "rejected")) {
    throw new CommandFailed("Failed update(s)");
  }
  printLine("All pool workers restarted.");
  const absent = workers.filter(({ connected }) => !connected);
  if (absent.length === 0) return;
  printLine("WARNING: disconnected workers not updated:");
  for (const { name } of absent) printLine(`  ${name}`);
}

function updateOne(pool: Capability, name: string): Promise<void> {
  return PoolAdmin.update(pool, name, (status) => printLine(`${name}: ${status}`));
}
