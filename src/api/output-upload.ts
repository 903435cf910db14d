/**
 * A worker's `Job`, when the files of its result are put into an object store by the worker itself:
 * part by part, as the scheduler says. Workers that do not know this answer "unimplemented": theirs
 * are read with `DurableJob.readOutputs`.
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, resultOf } from "./calls.js";
import { OutputUpload$Client } from "./generated/extensions.js";

const [PUT] = OutputUpload$Client.methods;

/** A part of the stream, and a URL that takes just that. */
export interface PartToPut {
  readonly url: string;
  readonly start: number;
  readonly length: number;
}

/** What the store has answered. */
export interface PutAnswer {
  /** HTTP's; 0: the store was not reached, or gave no answer. */
  readonly status: number;
  /** The store's own word for an error; "" if it gave none. */
  readonly code: string;
  /** The ETag, as it was given. */
  readonly tag: string;
  /** What went wrong, for people. */
  readonly message: string;
}

export interface OutputUploadService {
  /** Rejects if there are no such bytes. */
  put(part: PartToPut): Promise<PutAnswer>;
}

/** The methods of a worker's `Job` that make it an `OutputUpload`, too. */
export function outputUploadMethods(service: OutputUploadService): MethodEntry[] {
  return [
    method(PUT, async (call) => {
      const { length, start, url } = call.params;
      const answer = await service.put({ url, start: Number(start), length: Number(length) });
      const results = call.results();
      results.status = answer.status;
      results.code = answer.code;
      results.tag = answer.tag;
      results.message = answer.message;
    }),
  ];
}

/** See `OutputUploadService.put`. */
export function put(
  job: Capability,
  { length, start, url }: PartToPut,
  options?: CallOptions,
): Promise<PutAnswer> {
  const call = job.call(
    PUT,
    (params) => {
      params.url = url;
      params.start = BigInt(start);
      params.length = BigInt(length);
    },
    options,
  );
  return resultOf(call, ({ code, message, status, tag }) => ({ status, code, tag, message }));
}
