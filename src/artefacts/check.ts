/**
 * What an operator is told of an object store that cannot be used as it was set up.
 */
import type { Bucket } from "./bucket.js";
import { TransferError } from "./transfer-error.js";

/** An object that is written, read and removed to see whether that can be done. */
const PROBE = "probe";

/** The store cannot be used. The message says why, and what to do. */
export class StoreUnusable extends Error {
  override readonly name = "StoreUnusable";

  constructor(
    /** It may be usable later without anybody doing anything. */
    readonly passes: boolean,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * Asks for a list, writes, reads and removes an object below `directory`. Rejects with a
 * `StoreUnusable`.
 */
export async function checkBucket(bucket: Bucket, directory: string): Promise<void> {
  const key = `${directory}/${PROBE}`;
  const data = Buffer.from("Written by a scheduler to see whether it can write here.\n");
  try {
    await bucket.probe();
    await bucket.put(key, data);
    const back = await bucket.read(key, 0, data.length);
    if (!back.equals(data)) {
      throw new StoreUnusable(false, `${bucket.label} gives other bytes than were written to it`);
    }
    await bucket.remove(key);
  } catch (error) {
    throw error instanceof TransferError ? unusable(error, bucket) : error;
  }
}

/** What to do about what a store says: by its own word, or by the status. */
export function unusable(error: TransferError, { label, place }: Bucket): StoreUnusable {
  const advice = adviceFor(error, place.bucket);
  return new StoreUnusable(
    error.passes,
    `The object store ${label} (--artefacts) cannot be used: ${error.message}. ${advice}`,
    { cause: error },
  );
}

function adviceFor({ code, status }: TransferError, bucket: string): string {
  switch (code) {
    case "InvalidAccessKeyId":
      return "It does not know the access key: check AWS_ACCESS_KEY_ID, or the profile of the credentials file.";
    case "SignatureDoesNotMatch":
      return (
        "The secret does not belong to the access key, or something between here and there changes the " +
        "host: check AWS_SECRET_ACCESS_KEY and --artefacts-endpoint."
      );
    case "ExpiredToken":
    case "InvalidToken":
    case "TokenRefreshRequired":
      return "The session is over: get new credentials.";
    case "RequestTimeTooSkewed":
      return "The clock of this machine is wrong: set it.";
    case "NoSuchBucket":
      return `There is no bucket ${bucket}: make it, or correct the name.`;
    case "PermanentRedirect":
    case "AuthorizationHeaderMalformed":
    case "IllegalLocationConstraintException":
      return "The bucket is in another region: say which with --artefacts-region.";
  }
  if (status === 0) return "Check that it is up, and --artefacts-endpoint.";
  if (status === 403) {
    return `The credentials must be allowed to list, read, write and delete in bucket ${bucket}, and to abort uploads.`;
  }
  if (status >= 300 && status < 400) {
    return "That is not where the bucket is: check --artefacts-endpoint and --artefacts-region.";
  }
  if (status === 404)
    return `Nothing that speaks S3 is there, or no bucket ${bucket}: check --artefacts-endpoint.`;
  if (status === 507) return "It is full.";
  return "See what its own log says.";
}
