/**
 * Opens what the files of jobs' results are kept in.
 */
import { join } from "node:path";
import { Bucket, type BucketPlace, findCredentials } from "../../artefacts/index.js";
import { BucketIndex } from "./bucket-index.js";
import { BucketOutputs } from "./bucket-outputs.js";
import { DirectoryOutputs } from "./directory-outputs.js";
import type { Keeping } from "./kept-outputs.js";
import type { OutputStore } from "./output-store.js";

/** The directory of files of results in the state directory, unless they are kept elsewhere. */
export const OUTPUTS = "outputs";

/** What is known there of an object store. */
export const ARTEFACTS_INDEX = "artefacts.db";

export type ArtefactPlace =
  | { readonly kind: "dir"; readonly directory: string }
  | { readonly kind: "s3"; readonly place: BucketPlace; readonly part?: number };

export interface OutputsOptions extends Keeping {
  /** Undefined: in the state directory. */
  readonly place: ArtefactPlace | undefined;
  readonly stateDir: string;
  /** The records that the numbers are of. */
  readonly book: Uint8Array;
  onInfo(message: string): void;
  onWarning(message: string): void;
}

/**
 * Rejects with a `StoreUnusable`, `NoCredentials`, `StoreError`, or the system's error: for people.
 */
export async function openOutputs({
  place,
  stateDir,
  ...options
}: OutputsOptions): Promise<OutputStore> {
  if (place?.kind !== "s3") {
    const directory = place?.directory ?? join(stateDir, OUTPUTS);
    return await DirectoryOutputs.open({ ...options, directory });
  }
  const bucket = new Bucket(place.place, findCredentials());
  if (place.place.endpoint?.startsWith("http:")) {
    options.onWarning(
      `Files of jobs go to ${bucket.label} and from there UNENCRYPTED: --artefacts-endpoint is no https:// address`,
    );
  }
  const where = `${place.place.bucket}/${place.place.prefix} ${Buffer.from(options.book).toString("hex")}`;
  const index = BucketIndex.open(join(stateDir, ARTEFACTS_INDEX), where);
  return await BucketOutputs.open({ ...options, bucket, index, part: place.part });
}
