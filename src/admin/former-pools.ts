/**
 * `move-pool` and `forget-pool`: what becomes of what the scheduler keeps of a pool that was
 * renamed or given up.
 */
import { FormerPools } from "../api/index.js";
import { CommandFailed } from "../console/index.js";
import { type Capability, RpcError } from "../rpc/index.js";
import { printJson, printLine } from "./output.js";

export async function movePool(
  admin: Capability,
  from: string,
  to: string,
  json: boolean,
): Promise<void> {
  print("Moved", await FormerPools.move(admin, from, to).catch(inWords), json);
}

export async function forgetPool(admin: Capability, name: string, json: boolean): Promise<void> {
  print("Forgot", await FormerPools.forget(admin, name).catch(inWords), json);
}

function print(verb: string, pool: FormerPools.FormerPool, json: boolean): void {
  const { hints, jobs, rates, workers } = pool;
  if (json) printJson(pool);
  else
    printLine(
      `${verb} workers: ${workers}, rates: ${rates}, hints: ${hints}, durable jobs: ${jobs}.`,
    );
}

function inWords(error: unknown): never {
  if (!(error instanceof RpcError) || error.kind !== "unimplemented") throw error;
  throw new CommandFailed(
    "This scheduler cannot do that: what it keeps of pools stays in its state database.",
    { cause: error },
  );
}
