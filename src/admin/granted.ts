/** `add-scaler`, `remove-scaler`, `list-scalers`, and so on for each kind of such capabilities. */
import { Admin, Grants } from "../api/index.js";
import { CommandFailed } from "../console/index.js";
import { type Capability, RpcError } from "../rpc/index.js";
import { printJson, printLine } from "./output.js";

/** Prints its URI: the content of its capability file. */
export async function addGranted(
  admin: Capability,
  kind: string,
  name: string,
  json: boolean,
): Promise<void> {
  const uri = await Grants.grant(admin, kind, name).catch(inWords(admin, kind));
  if (json) printJson({ [kind]: name, uri });
  else printLine(uri);
}

export async function removeGranted(admin: Capability, kind: string, name: string): Promise<void> {
  await Grants.revoke(admin, kind, name).catch(inWords(admin, kind));
}

export async function listGranted(admin: Capability, kind: string, json: boolean): Promise<void> {
  const names = await Grants.list(admin, kind).catch(inWords(admin, kind));
  if (json) {
    printJson({ [`${kind}s`]: names });
    return;
  }
  if (names.length === 0) process.stderr.write(`No ${kind}s.\n`);
  for (const name of names) printLine(name);
}

/** In place of an error of a scheduler that does not know these: a `CommandFailed` that says so. */
function inWords(admin: Capability, kind: string) {
  return async (error: unknown): Promise<never> => {
    if (!(error instanceof RpcError) || error.kind !== "unimplemented") throw error;
    // What is no administrator's at all says so here.
    await Admin.pools(admin);
    throw new CommandFailed(`This scheduler is of a version that has no ${kind}s.`, {
      cause: error,
    });
  };
}
