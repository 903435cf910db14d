/**
 * What administrators name: pools and clients. One that there is none of is told of in the same
 * words by all commands, whatever words the scheduler has for it: those on the wire are the
 * reference's.
 */
import { Admin } from "../api/index.js";
import { type Capability, RpcError } from "../rpc/index.js";
import { quoted } from "../text/index.js";

/**
 * Runs `use` with the `PoolAdmin` of a pool, which belongs to this call. If there is no such pool
 * the `RpcError` (failed) says which there are.
 */
export async function withPool<R>(
  admin: Capability,
  name: string,
  use: (pool: Capability) => Promise<R>,
): Promise<R> {
  using pool = Admin.pool(admin, name);
  try {
    return await use(pool);
  } catch (error) {
    if (!says(error, /^No such pool$/)) throw error;
    const pools = await Admin.pools(admin);
    throw new RpcError("failed", `No such pool ${quoted(name)}; there is ${pools.join(", ")}`);
  }
}

/**
 * What a call about a client comes to. If there is no such client, rejects with an `RpcError`
 * (failed) that names it.
 */
export async function aboutClient<R>(client: string, call: Promise<R>): Promise<R> {
  return call.catch((error) => {
    if (!says(error, /^No such user$/)) throw error;
    throw new RpcError("failed", `Unknown client ${quoted(client)}`);
  });
}

function says(error: unknown, reason: RegExp): boolean {
  return error instanceof RpcError && error.kind === "failed" && reason.test(error.message);
}
