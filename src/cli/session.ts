/**
 * A short-lived program's session with the scheduler: from a capability file to a service that can be used, with words
 * for whatever is wrong with the file or the way there.
 */
import { type Capability, formatAddress, RpcError, readCapFile, Vat } from "../rpc/index.js";
import { CommandFailed } from "./errors.js";
import { logger } from "./log.js";
import { stderrTerminal } from "./terminal.js";

/**
 * Connects to the service in `capFile`, runs `use` with it and hangs up. The service is known to exist; it belongs to the
 * session. Throws `CapFileError`, `CommandFailed` if there is no way to the service, and what `use` throws.
 */
export async function withService<T>(
  capFile: string,
  use: (service: Capability) => Promise<T>,
): Promise<T> {
  const ref = readCapFile(capFile);
  const log = logger("capnp-rpc");
  const vat = new Vat({
    log: (level, message) => log[level === "warning" ? "warn" : level](message),
  });
  try {
    stderrTerminal.announce(`Connecting to ${formatAddress(ref.address)}`);
    const service = await vat.import(ref).then(
      (capability) => {
        stderrTerminal.conclude("OK");
        return capability;
      },
      (error) => {
        stderrTerminal.conclude("ERROR");
        throw unusable(capFile, error);
      },
    );
    try {
      await service.whenResolved().catch((error) => {
        throw unusable(capFile, error);
      });
      return await use(service);
    } finally {
      service.release();
    }
  } finally {
    await vat.close();
  }
}

function unusable(capFile: string, error: unknown): unknown {
  if (!(error instanceof RpcError)) return error;
  return new CommandFailed(`Cannot use capability file "${capFile}": ${error}`, { cause: error });
}
