/**
 * What a client is told whose pool there is not. It is the reference's sentence, by which programs
 * know it: `Submission.isUnknownPool`.
 */
import { RpcError } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";

export function unknownPool(name: string, pools: ReadonlyMap<string, unknown>): RpcError {
  const known = [...pools.keys()].join(", ");
  // It may be as long as a message: quoting all of it would keep everybody else waiting.
  const shown = quoted(name.slice(0, 256));
  return new RpcError("failed", `Pool ID ${shown} not one of {${known}}`);
}
