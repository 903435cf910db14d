/** `context`: named capability files and pools, one of which is used by who names none. */
import { resolve } from "node:path";
import { CommandFailed, UsageError } from "../console/index.js";
import { readCapFile } from "../rpc/index.js";
import { visible } from "../text/index.js";
import {
  type CONTEXT_ACTIONS,
  type Contexts,
  configPath,
  readContexts,
  writeContexts,
} from "./contexts.js";

export interface ContextCommand {
  readonly connect?: string | undefined;
  readonly pool?: string | undefined;
}

/** Throws `UsageError`, `CommandFailed`, `ConfigError`, and `CapFileError`. */
export function changeContexts(
  action: (typeof CONTEXT_ACTIONS)[number],
  name: string | undefined,
  { connect, pool }: ContextCommand,
): void {
  const before = readContexts();
  if (action === "list") {
    list(before);
    return;
  }
  if (name === undefined) throw new UsageError("required argument NAME is missing");
  if (action === "add") {
    if (connect === undefined) throw new UsageError("required option --connect is missing");
    readCapFile(connect);
    const added = { cap: resolve(connect), ...(pool !== undefined && { pool }) };
    const { current = name } = before;
    writeContexts({ current, contexts: { ...before.contexts, [name]: added } });
    return;
  }
  if (!Object.hasOwn(before.contexts, name)) throw unknown(name, before);
  if (action === "use") {
    writeContexts({ ...before, current: name });
    return;
  }
  const { [name]: _, ...contexts } = before.contexts;
  const { current } = before;
  writeContexts({ ...(current !== undefined && current !== name && { current }), contexts });
}

function list({ contexts, current }: Contexts): void {
  const lines = Object.entries(contexts).map(([name, { cap, pool }]) => {
    const where = visible(cap) + (pool === undefined ? "" : ` (pool ${visible(pool)})`);
    return `${name === current ? "*" : " "} ${visible(name)}: ${where}\n`;
  });
  process.stdout.write(lines.join(""));
  if (lines.length === 0) process.stderr.write(`No contexts in ${configPath()}.\n`);
}

function unknown(name: string, { contexts }: Contexts): CommandFailed {
  const names = Object.keys(contexts).map(visible).join(", ");
  return new CommandFailed(
    `There is no context "${visible(name)}" in ${configPath()}${names === "" ? "" : `: there are ${names}`}.`,
  );
}
