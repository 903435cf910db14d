/**
 * A bucket of an object store that speaks S3: what is done with it by who has its credentials, and
 * URLs by which others can read or write one object, or one part of one, for some minutes.
 *
 * Each request is signed when it is made, in its URL: one way for all. Only names without anything
 * to be escaped are used, so that no two programs can differ about how that is signed.
 */
import { AwsV4Signer } from "aws4fetch";
import type { CredentialSource } from "./credentials.js";
import { type Answer, readRange, type SendOptions, send, sendPatiently } from "./transfer.js";
import { TransferError } from "./transfer-error.js";
import { elements, escaped, textOf } from "./xml.js";

/** Where a bucket is. */
export interface BucketPlace {
  readonly bucket: string;
  /** Of all keys; "" or without a slash at either end. */
  readonly prefix: string;
  /** The address of the store, as workers and clients see it, too; undefined: Amazon's. */
  readonly endpoint: string | undefined;
  readonly region: string;
}

/** How long a URL is good for, in seconds: a request has to begin within it. */
export const URL_SECONDS = 300;

/** A store that says nothing for so long is away, in ms. */
const PROBE_MS = 10_000;

/** A part of an upload that the store has. */
export interface UploadedPart {
  readonly part: number;
  readonly tag: string;
  readonly size: number;
}

/** An upload that was begun and neither completed nor aborted. */
export interface OpenUpload {
  readonly key: string;
  readonly upload: string;
}

/** What of an object is written. */
export interface Written {
  readonly key: string;
  /** Bytes, which are signed: the URL is good for no other length. */
  readonly length: number;
  /** Undefined: the whole object. */
  readonly of?: { readonly upload: string; readonly part: number } | undefined;
}

type Query = Readonly<Record<string, string>>;

export class Bucket {
  readonly #cache = new Map<string, ArrayBuffer>();
  readonly #closing = new AbortController();

  constructor(
    readonly place: BucketPlace,
    private readonly credentials: CredentialSource,
  ) {}

  /** Ends what is on its way; all requests reject from now on. */
  close(): void {
    this.#closing.abort();
  }

  /** `s3://BUCKET/PREFIX at HOST`, for people. */
  get label(): string {
    const { bucket, prefix } = this.place;
    return `s3://${bucket}/${prefix} at ${this.#base().host}`;
  }

  /** A URL that reads an object, or parts of it. */
  readUrl(key: string): Promise<string> {
    return this.#sign("GET", key, {});
  }

  /** A URL that writes exactly that. */
  writeUrl({ key, length, of }: Written): Promise<string> {
    const query = of ? { partNumber: String(of.part), uploadId: of.upload } : {};
    return this.#sign("PUT", key, query, { "Content-Length": String(length) });
  }

  /** See `readRange`. */
  async read(key: string, start: number, length: number): Promise<Buffer> {
    const { signal } = this.#closing;
    return await readRange(await this.readUrl(key), start, length, { signal });
  }

  /** Writes a small object. */
  async put(key: string, data: Uint8Array): Promise<void> {
    await this.#ask("PUT", key, {}, data);
  }

  /** Bytes of an object; undefined if there is none. */
  async size(key: string): Promise<number | undefined> {
    try {
      const { headers } = await this.#ask("HEAD", key);
      return Number(headers["content-length"] ?? Number.NaN);
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** Removes an object, if it is there. */
  async remove(key: string): Promise<void> {
    await this.#ask("DELETE", key).catch(unlessGone);
  }

  /** Begins an upload in parts, and gives its id. */
  async begin(key: string): Promise<string> {
    const { body } = await this.#ask("POST", key, { uploads: "" });
    const upload = textOf(body.toString(), "UploadId");
    if (upload === "") throw new TransferError(0, "", "the store gave no id for an upload");
    return upload;
  }

  /** The parts that are there. */
  async parts(key: string, upload: string): Promise<UploadedPart[]> {
    const found: UploadedPart[] = [];
    for (let marker = 0; ; ) {
      const query = { uploadId: upload, "part-number-marker": String(marker) };
      const text = (await this.#ask("GET", key, query)).body.toString();
      for (const part of elements(text, "Part")) {
        found.push({
          part: Number(textOf(part, "PartNumber")),
          tag: textOf(part, "ETag"),
          size: Number(textOf(part, "Size")),
        });
      }
      const next = Number(textOf(text, "NextPartNumberMarker"));
      if (textOf(text, "IsTruncated") !== "true" || !(next > marker)) return found;
      marker = next;
    }
  }

  /** Makes an object of all parts. Once more is an error: then there is no such upload. */
  async complete(
    key: string,
    upload: string,
    parts: readonly Omit<UploadedPart, "size">[],
  ): Promise<void> {
    const list = [...parts]
      .sort((a, b) => a.part - b.part)
      .map(
        ({ part, tag }) =>
          `<Part><PartNumber>${part}</PartNumber><ETag>${escaped(tag)}</ETag></Part>`,
      );
    const text = `<CompleteMultipartUpload>${list.join("")}</CompleteMultipartUpload>`;
    const { body, status } = await this.#ask("POST", key, { uploadId: upload }, Buffer.from(text));
    // It may have been answered before it had failed.
    const code = textOf(body.toString(), "Code");
    if (body.includes("<Error>")) throw new TransferError(status, code, `the store says ${code}`);
  }

  /** Gives an upload up, if it is there. */
  async abort(key: string, upload: string): Promise<void> {
    await this.#ask("DELETE", key, { uploadId: upload }).catch(unlessGone);
  }

  /** Uploads whose keys begin so. */
  async openUploads(prefix: string): Promise<OpenUpload[]> {
    const found: OpenUpload[] = [];
    const begin = this.#key(prefix);
    for (let [key, upload] = ["", ""]; ; ) {
      const query = { uploads: "", prefix: begin, "key-marker": key, "upload-id-marker": upload };
      const text = (await this.#ask("GET", null, query)).body.toString();
      for (const one of elements(text, "Upload")) {
        const whole = textOf(one, "Key");
        // What others have begun is theirs, whatever the store makes of a prefix.
        if (!whole.startsWith(begin)) continue;
        found.push({ key: whole.slice(this.#key("").length), upload: textOf(one, "UploadId") });
      }
      const [nextKey, nextUpload] = [
        textOf(text, "NextKeyMarker"),
        textOf(text, "NextUploadIdMarker"),
      ];
      const isLast = textOf(text, "IsTruncated") !== "true" || nextKey === "";
      if (isLast || (nextKey === key && nextUpload === upload)) return found;
      [key, upload] = [nextKey, nextUpload];
    }
  }

  /** Asks for what costs nothing; rejects with a `TransferError` at once if it cannot be had. */
  async probe(): Promise<void> {
    const query = { "list-type": "2", "max-keys": "1", prefix: this.#key("") };
    await send({ ...(await this.#request("GET", null, query)), stallMs: PROBE_MS });
  }

  async #ask(
    method: SendOptions["method"],
    key: string | null,
    query: Query = {},
    data?: Uint8Array,
  ): Promise<Answer> {
    return await sendPatiently(await this.#request(method, key, query, data));
  }

  async #request(
    method: SendOptions["method"],
    key: string | null,
    query: Query,
    data?: Uint8Array,
  ): Promise<SendOptions> {
    const url = await this.#sign(method, key, query);
    // What is posted without a body has a length, too.
    const hasBody = data !== undefined || method === "POST";
    const body = { length: data?.length ?? 0, read: () => (data ? [data] : []) };
    return { method, url, signal: this.#closing.signal, ...(hasBody && { body }) };
  }

  async #sign(
    method: SendOptions["method"],
    key: string | null,
    query: Query,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const url = this.#base();
    if (key !== null) url.pathname += `${url.pathname.endsWith("/") ? "" : "/"}${this.#key(key)}`;
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    url.searchParams.set("X-Amz-Expires", String(URL_SECONDS));
    const signer = new AwsV4Signer({
      method,
      url: url.toString(),
      headers,
      ...definedOnly(this.credentials()),
      service: "s3",
      region: this.place.region,
      signQuery: true,
      allHeaders: true,
      cache: this.#cache,
    });
    const signed = await signer.sign();
    return signed.url.toString();
  }

  /** The bucket's own URL. Amazon has buckets as names of hosts, others as names of directories. */
  #base(): URL {
    const { bucket, endpoint, region } = this.place;
    if (endpoint !== undefined) {
      const url = new URL(endpoint);
      url.pathname = `${url.pathname.replace(/\/+$/, "")}/${bucket}`;
      return url;
    }
    // A dot in the name does not fit their certificate.
    return bucket.includes(".")
      ? new URL(`https://s3.${region}.amazonaws.com/${bucket}`)
      : new URL(`https://${bucket}.s3.${region}.amazonaws.com/`);
  }

  #key(key: string): string {
    const { prefix } = this.place;
    return prefix === "" ? key : `${prefix}/${key}`;
  }
}

function definedOnly(credentials: ReturnType<CredentialSource>) {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
}

/** There is no such object or upload; its bucket is another matter. */
export function isGone(error: unknown): boolean {
  return error instanceof TransferError && error.status === 404 && error.code !== "NoSuchBucket";
}

function unlessGone(error: unknown): void {
  if (!isGone(error)) throw error;
}
