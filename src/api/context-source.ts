/**
 * How workers get the local directories that jobs are built from: what our schedulers' `Queue`s
 * offer beyond the shared contract. Others give out no such jobs.
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, resultOf } from "./calls.js";
import { readHashes, writeHashes } from "./context-store.js";
import { ContextSource$Client } from "./generated/extensions.js";

const [READ] = ContextSource$Client.methods;

/** A part of some blobs of a client, as if they were one. */
export interface BlobRange {
  readonly client: string;
  /** SHA-256, as hexadecimal digits; `MAX_BLOBS` of `context-store.ts` at most. */
  readonly blobs: readonly string[];
  readonly start: number;
  /** Bytes; `MAX_PART` at most are given. */
  readonly limit: number;
}

export interface ContextSourceService {
  /** Empty: the end. What it throws goes to the worker. */
  readBlobs(range: BlobRange): Promise<Uint8Array>;
}

/** The method of a `Queue` that makes it a `ContextSource`, too. */
export function contextSourceMethods(service: ContextSourceService): MethodEntry[] {
  return [
    method(READ, async (call) => {
      const { blobs, client, limit, start } = call.params;
      const data = await service.readBlobs({
        client,
        blobs: readHashes(blobs.toUint8Array()),
        start: Number(start),
        limit,
      });
      call.results()._initData(data.byteLength).copyBuffer(data);
    }),
  ];
}

/** The data is a copy. */
export function read(
  queue: Capability,
  { blobs, client, limit, start }: BlobRange,
  options?: CallOptions,
): Promise<Uint8Array> {
  const hashes = writeHashes(blobs);
  const call = queue.call(
    READ,
    (params) => {
      params.client = client;
      params._initBlobs(hashes.length).copyBuffer(hashes);
      params.start = BigInt(start);
      params.limit = limit;
    },
    options,
  );
  return resultOf(call, (results) => results.data.toUint8Array().slice());
}
