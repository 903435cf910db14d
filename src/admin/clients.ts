/** `add-client`, `remove-client`, `list-clients` and `set-rate`. */
import { Admin, Persistent, PoolAdmin } from "../api/index.js";
import { CommandFailed } from "../console/index.js";
import { type Capability, RpcError } from "../rpc/index.js";
import { quoted } from "../text/index.js";
import { aboutClient, withPool } from "./named-pool.js";
import { printJson, printLine } from "./output.js";

/** Prints the new client's URI: the content of its capability file. */
export async function addClient(admin: Capability, id: string, json: boolean): Promise<void> {
  using client = Admin.addClient(admin, id);
  const uri = (await Persistent.save(client)).format();
  if (json) printJson({ client: id, uri });
  else printLine(uri);
}

/** Throws a `CommandFailed`, and has done nothing, if the scheduler cannot cancel what runs. */
export async function removeClient(
  admin: Capability,
  id: string,
  cancelRunning: boolean,
): Promise<void> {
  try {
    await Admin.removeClient(admin, id, { cancelRunning });
  } catch (error) {
    if (!cancelRunning || !(error instanceof RpcError) || error.kind !== "unimplemented")
      throw error;
    throw new CommandFailed(
      `This scheduler cannot cancel running jobs: client ${quoted(id)} is still there. Remove it without --cancel-running`,
    );
  }
}

export async function listClients(admin: Capability, json: boolean): Promise<void> {
  const clients = await Admin.listClients(admin);
  if (json) {
    printJson({ clients });
    return;
  }
  if (clients.length === 0) process.stderr.write("No clients.\n");
  for (const id of clients) printLine(id);
}

export async function setRate(
  admin: Capability,
  poolName: string,
  client: string,
  rate: number,
): Promise<void> {
  await withPool(admin, poolName, (pool) =>
    aboutClient(client, PoolAdmin.setRate(pool, client, rate)),
  );
}
