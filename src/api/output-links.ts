/**
 * Where clients read files of jobs' results, if that is not at the scheduler: what our schedulers'
 * `JobRecords` offer beyond. Others answer "unimplemented": theirs are read with
 * `JobRecords.readOutputs` alone.
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, resultOf } from "./calls.js";
import { OutputLinks$Client } from "./generated/extensions.js";

const [LINK] = OutputLinks$Client.methods;

/** A URL that is read with GET and Range, by requests that begin within so many seconds. */
export interface OutputLink {
  readonly url: string;
  readonly seconds: number;
}

export interface OutputLinksService {
  /** Undefined: it is read by `readOutputs` alone. Rejects if there is no such job. */
  link(job: number, attempt: number): Promise<OutputLink | undefined>;
}

/** The methods of a `JobRecords` that make it an `OutputLinks`, too. */
export function outputLinksMethods(service: OutputLinksService): MethodEntry[] {
  return [
    method(LINK, async (call) => {
      const link = await service.link(Number(call.params.job), call.params.attempt);
      const results = call.results();
      results.url = link?.url ?? "";
      results.seconds = link?.seconds ?? 0;
    }),
  ];
}

/** See `OutputLinksService.link`. */
export function link(
  records: Capability,
  job: number,
  attempt: number,
  options?: CallOptions,
): Promise<OutputLink | undefined> {
  const call = records.call(
    LINK,
    (params) => {
      params.job = BigInt(job);
      params.attempt = attempt;
    },
    options,
  );
  return resultOf(call, ({ seconds, url }) => (url === "" ? undefined : { url, seconds }));
}
