/**
 * Sending local directories as build contexts: what our schedulers' `Submission`s offer beyond the
 * shared contract. Others answer "unimplemented".
 *
 * A blob is a manifest (`context-manifest.ts`) or what is in a file, by its SHA-256. Hashes are
 * hexadecimal digits here.
 */
import { type Capability, type MethodEntry, method, RpcError } from "../rpc/index.js";
import { type CallOptions, done, resultOf } from "./calls.js";
import { ContextStore$Client } from "./generated/extensions.js";

const [KNOWN, MISSING, PUT, APPEND, KEEP] = ContextStore$Client.methods;

/** Bytes of a hash. */
const HASH = 32;

/** How many hashes may be asked about at a time; how many blobs, and bytes, sent at a time. */
export const MAX_HASHES = 8192;
export const MAX_BLOBS = 1024;
export const MAX_PART = 1024 * 1024;

/** What one context may have. */
export interface ContextLimits {
  /** Of its files together. */
  readonly bytes: number;
  /** Files, directories and links. */
  readonly entries: number;
}

export interface ContextStoreService {
  /** What it throws, here and below, goes to the client. */
  known(manifest: string): Promise<{ readonly known: boolean; readonly limits: ContextLimits }>;
  /** Those that are not there. */
  missing(blobs: readonly string[]): Promise<readonly string[]>;
  /** Whole blobs, as many as `sizes`, in `data`, which is a copy. */
  put(sizes: readonly number[], data: Uint8Array): Promise<void>;
  /** A part of a large blob. Resolves to how many bytes of it are there. `part.data` is a copy. */
  append(part: BlobPart): Promise<number>;
  /** Some blobs of the manifest that are not there; none: the context is complete, and on disk. */
  keep(manifest: string): Promise<readonly string[]>;
}

export interface BlobPart {
  readonly blob: string;
  /** Bytes of the whole blob. */
  readonly size: number;
  /** Where the data begins in it. */
  readonly start: number;
  readonly data: Uint8Array;
}

/** The methods of a client's service that make it a `ContextStore`, too. */
export function contextStoreMethods(service: ContextStoreService): MethodEntry[] {
  return [
    method(KNOWN, async (call) => {
      const [manifest] = readHashes(call.params.manifest.toUint8Array(), 1);
      const { known, limits } = await service.known(manifest!);
      const results = call.results();
      results.known = known;
      const wire = results._initLimits();
      wire.bytes = BigInt(limits.bytes);
      wire.entries = limits.entries;
    }),
    method(MISSING, async (call) => {
      const blobs = readHashes(call.params.blobs.toUint8Array());
      const missing = writeHashes(await service.missing(blobs));
      call.results()._initMissing(missing.length).copyBuffer(missing);
    }),
    method(PUT, async (call) => {
      const { data, sizes } = call.params;
      if (sizes.length > MAX_BLOBS || data.length > MAX_PART) throw tooMuch();
      await service.put(sizes.toArray(), data.toUint8Array().slice());
      call.results();
    }),
    method(APPEND, async (call) => {
      const { blob, data, size, start } = call.params;
      if (data.length > MAX_PART) throw tooMuch();
      const [hash] = readHashes(blob.toUint8Array(), 1);
      const length = await service.append({
        blob: hash!,
        size: Number(size),
        start: Number(start),
        data: data.toUint8Array().slice(),
      });
      call.results().length = BigInt(length);
    }),
    method(KEEP, async (call) => {
      const [manifest] = readHashes(call.params.manifest.toUint8Array(), 1);
      const missing = writeHashes(await service.keep(manifest!));
      call.results()._initMissing(missing.length).copyBuffer(missing);
    }),
  ];
}

/**
 * Whether all of a context is there, and what contexts may have. Rejects as "unimplemented" where
 * none are taken.
 */
export function known(
  submission: Capability,
  manifest: string,
  options?: CallOptions,
): Promise<{ known: boolean; limits: ContextLimits }> {
  const bytes = writeHashes([manifest]);
  const call = submission.call(
    KNOWN,
    (params) => params._initManifest(bytes.length).copyBuffer(bytes),
    options,
  );
  return resultOf(call, ({ known, limits }) => ({
    known,
    limits: { bytes: Number(limits.bytes), entries: limits.entries },
  }));
}

/** Of at most `MAX_HASHES` blobs, those that are not there. */
export function missing(
  submission: Capability,
  blobs: readonly string[],
  options?: CallOptions,
): Promise<string[]> {
  const bytes = writeHashes(blobs);
  const call = submission.call(
    MISSING,
    (params) => params._initBlobs(bytes.length).copyBuffer(bytes),
    options,
  );
  return resultOf(call, (results) => readHashes(results.missing.toUint8Array()));
}

/** Sends whole blobs: at most `MAX_BLOBS`, with `MAX_PART` bytes together. */
export function put(
  submission: Capability,
  blobs: readonly Uint8Array[],
  options?: CallOptions,
): Promise<void> {
  const data = Buffer.concat(blobs);
  const call = submission.call(
    PUT,
    (params) => {
      const sizes = params._initSizes(blobs.length);
      for (const [index, { length }] of blobs.entries()) sizes.set(index, length);
      params._initData(data.length).copyBuffer(data);
    },
    options,
  );
  return done(call);
}

/** Sends a part of a large blob; `MAX_PART` bytes at most. */
export function append(
  submission: Capability,
  { blob, data, size, start }: BlobPart,
  options?: CallOptions,
): Promise<number> {
  const hash = writeHashes([blob]);
  const call = submission.call(
    APPEND,
    (params) => {
      params._initBlob(hash.length).copyBuffer(hash);
      params.size = BigInt(size);
      params.start = BigInt(start);
      params._initData(data.length).copyBuffer(data);
    },
    options,
  );
  return resultOf(call, ({ length }) => Number(length));
}

/** Has a context kept whose manifest is there; some blobs that it lacks, or none. */
export function keep(
  submission: Capability,
  manifest: string,
  options?: CallOptions,
): Promise<string[]> {
  const bytes = writeHashes([manifest]);
  const call = submission.call(
    KEEP,
    (params) => params._initManifest(bytes.length).copyBuffer(bytes),
    options,
  );
  return resultOf(call, (results) => readHashes(results.missing.toUint8Array()));
}

/** Throws an `RpcError` if there are not so many, or these are none. */
export function readHashes(bytes: Uint8Array, count?: number): string[] {
  const there = bytes.length / HASH;
  if (!Number.isInteger(there) || there > MAX_HASHES || (count !== undefined && there !== count)) {
    throw new RpcError("failed", `Hashes have ${HASH} bytes, and there can be ${MAX_HASHES}`);
  }
  const digits = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
  return Array.from({ length: there }, (_, i) => digits.slice(2 * HASH * i, 2 * HASH * (i + 1)));
}

export function writeHashes(hashes: readonly string[]): Buffer {
  return Buffer.from(hashes.join(""), "hex");
}

function tooMuch(): RpcError {
  return new RpcError("failed", `${MAX_BLOBS} blobs or ${MAX_PART} bytes can be sent at a time`);
}
