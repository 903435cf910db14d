/**
 * Puts a part of a stream of files into an object store, by a URL that the scheduler has signed for
 * just that. Whether to try once more is the scheduler's to say: then it gives another URL.
 */
import { createReadStream } from "node:fs";
import type { OutputUpload } from "../../api/index.js";
import { send } from "../../artefacts/transfer.js";
import { TransferError } from "../../artefacts/transfer-error.js";

/** Bytes read at a time. */
const CHUNK = 256 * 1024;

/**
 * Resolves to what the store has answered, or why there is no answer. Rejects with the system's
 * error if the file cannot be read, and with a `RangeError` if it ends before.
 */
export async function putPart(
  path: string,
  { length, start, url }: OutputUpload.PartToPut,
): Promise<OutputUpload.PutAnswer> {
  const read = () =>
    createReadStream(path, { start, end: start + length - 1, highWaterMark: CHUNK });
  try {
    const { headers, status } = await send({ method: "PUT", url, body: { length, read } });
    return { status, code: "", tag: headers.etag ?? "", message: "" };
  } catch (error) {
    if (!(error instanceof TransferError)) throw error;
    const { code, message, status } = error;
    return { status, code, tag: "", message };
  }
}
