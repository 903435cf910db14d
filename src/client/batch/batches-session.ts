/**
 * Sessions of commands about batches: those of commands about jobs, with words for a scheduler that
 * knows no batches.
 */
import { CommandFailed } from "../../console/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import { type RecordsOptions, steadily, withRecords } from "../index.js";

const WITHOUT =
  "This scheduler knows no batches: it is an older one, or not of this project. Each row can be submitted as a job of its own " +
  "(submit-obuilder, submit-docker).";

/** One connection. Rejects with `CommandFailed`. */
export function withBatches<T>(
  options: RecordsOptions,
  use: (records: Capability) => Promise<T>,
): Promise<T> {
  return withRecords(options, inWords(use));
}

/** As many connections as it takes. */
export function steadilyWithBatches<T>(
  options: RecordsOptions,
  use: (records: Capability) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  return steadily(options, inWords(use), signal ? { signal } : {});
}

function inWords<T>(use: (records: Capability) => Promise<T>) {
  return async (records: Capability): Promise<T> => {
    try {
      return await use(records);
    } catch (error) {
      if (error instanceof RpcError && error.kind === "unimplemented") {
        throw new CommandFailed(WITHOUT, { cause: error });
      }
      throw error;
    }
  };
}
