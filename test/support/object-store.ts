/**
 * An object store in this process that speaks as much of S3 as is used here. What it does not do
 * lightly is to believe: each request's signature is recomputed by the signer's own library from
 * what has really come, and so are its age and the headers that were signed.
 *
 * It can be in trouble: away, slow, full, or giving less than it says.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { AwsV4Signer } from "aws4fetch";

export const KEYS = { accessKeyId: "AKTEST", secretAccessKey: "a secret of the test's" };
export const REGION = "test-1";

interface Upload {
  readonly key: string;
  readonly parts: Map<number, { readonly tag: string; readonly data: Buffer }>;
}

/** What has been asked for. */
export interface Request {
  readonly method: string;
  /** Within the bucket. */
  readonly key: string;
  readonly query: URLSearchParams;
  readonly body: Buffer;
}

export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message = "It cannot be done",
  ) {
    super(message);
  }
}

export class ObjectStore {
  readonly objects = new Map<string, Buffer>();
  readonly uploads = new Map<string, Upload>();
  /** Those that were let in. */
  readonly requests: Request[] = [];
  /** Connections are ended as soon as something comes. */
  isAway = false;
  /** Answers that for what writes. */
  full: 0 | 503 | 507 = 0;
  /** Bytes that are kept back of what is read. */
  short = 0;
  /** Called before a request is answered; may wait, or throw to end the connection. */
  before: (request: Request) => void | Promise<void> = () => {};
  /** Bytes that a part must have, unless it is the last. */
  leastPart = 5 * 1024 ** 2;
  /** Uploads and parts in a page of a list. */
  page = 1000;
  #server: Server;
  #sockets = new Set<Socket>();

  private constructor(readonly bucket: string) {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => request.socket.destroy());
    });
    // What is refused need not be sent.
    this.#server.on("checkContinue", (request, response) => {
      this.#serve(request, response).catch(() => request.socket.destroy());
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(bucket = "artefacts"): Promise<ObjectStore> {
    const store = new ObjectStore(bucket);
    store.#server.listen(0, "127.0.0.1");
    await once(store.#server, "listening");
    return store;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Ends what is on its way. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, "close");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.isAway) {
      request.socket.destroy();
      return;
    }
    try {
      const url = new URL(request.url!, `http://${request.headers.host}`);
      await checkSignature(request, url);
      const [, bucket = "", key = ""] = /^\/([^/]*)\/?(.*)$/.exec(url.pathname) ?? [];
      if (bucket !== this.bucket) throw new Refusal(404, "NoSuchBucket", "No such bucket");
      const isWrite = request.method === "PUT" || request.method === "POST";
      if (this.full > 0 && isWrite) throw new Refusal(this.full, "InsufficientStorage", "Full");
      if (request.headers.expect === "100-continue") response.writeContinue();
      const asked = {
        method: request.method!,
        key,
        query: url.searchParams,
        body: await bodyOf(request),
      };
      this.requests.push(asked);
      await this.before(asked);
      if (this.isAway) request.socket.destroy();
      else this.#answer(asked, request, response);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const text = `<?xml version="1.0"?><Error><Code>${error.code}</Code><Message>${error.message}</Message></Error>`;
      response.writeHead(error.status, { Connection: "close" });
      response.end(request.method === "HEAD" ? undefined : text);
    }
  }

  #answer(asked: Request, request: IncomingMessage, response: ServerResponse): void {
    const { body, key, method, query } = asked;
    const upload = query.get("uploadId");
    if (upload !== null) this.#answerUpload(asked, upload, response);
    else if (query.has("uploads")) {
      if (method === "POST") {
        const id = `${randomBytes(6).toString("base64")}&`;
        this.uploads.set(id, { key, parts: new Map() });
        response.end(`<R><UploadId>${xml(id)}</UploadId></R>`);
      } else {
        response.end(this.#listUploads(query));
      }
    } else if (key === "") response.end("<R/>");
    else if (method === "PUT") {
      this.objects.set(key, body);
      response.writeHead(200, { ETag: tagOf(body) }).end();
    } else if (method === "DELETE") {
      this.objects.delete(key);
      response.writeHead(204).end();
    } else this.#give(key, request, response);
  }

  #give(key: string, request: IncomingMessage, response: ServerResponse): void {
    const data = this.objects.get(key);
    if (!data) throw new Refusal(404, "NoSuchKey", "No such key");
    if (request.method === "HEAD") {
      response.writeHead(200, { "Content-Length": data.length }).end();
      return;
    }
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const part = from === undefined ? data : data.subarray(Number(from), Number(to) + 1);
    response.writeHead(from === undefined ? 200 : 206, { "Content-Length": part.length });
    if (this.short === 0) {
      response.end(part);
      return;
    }
    response.write(part.subarray(0, Math.max(0, part.length - this.short)));
    response.destroy();
  }

  #answerUpload({ body, key, method, query }: Request, id: string, response: ServerResponse) {
    const upload = this.uploads.get(id);
    if (!upload || upload.key !== key) throw new Refusal(404, "NoSuchUpload", "No such upload");
    const number = Number(query.get("partNumber"));
    if (method === "PUT") {
      upload.parts.set(number, { tag: tagOf(body), data: body });
      response.writeHead(200, { ETag: tagOf(body) }).end();
    } else if (method === "DELETE") {
      this.uploads.delete(id);
      response.writeHead(204).end();
    } else if (method === "GET") {
      response.end(listParts(upload, Number(query.get("part-number-marker")), this.page));
    } else {
      this.objects.set(key, wholeOf(upload, body.toString(), this.leastPart));
      this.uploads.delete(id);
      response.end("<R><ETag>whatever</ETag></R>");
    }
  }

  #listUploads(query: URLSearchParams): string {
    const begin = query.get("prefix") ?? "";
    const after = `${query.get("key-marker")}\n${query.get("upload-id-marker")}`;
    const all = [...this.uploads]
      .map(([id, { key }]) => ({ id, key, order: `${key}\n${id}` }))
      .filter(({ key, order }) => key.startsWith(begin) && (after === "\n" || order > after))
      .sort((a, b) => (a.order < b.order ? -1 : 1));
    const page = all.slice(0, this.page);
    const last = page.at(-1);
    return (
      page
        .map(
          ({ id, key }) => `<Upload><Key>${xml(key)}</Key><UploadId>${xml(id)}</UploadId></Upload>`,
        )
        .join("") +
      `<IsTruncated>${all.length > page.length}</IsTruncated>` +
      (last
        ? `<NextKeyMarker>${xml(last.key)}</NextKeyMarker><NextUploadIdMarker>${xml(last.id)}</NextUploadIdMarker>`
        : "")
    );
  }
}

function listParts({ parts }: Upload, after: number, count: number): string {
  const all = [...parts].filter(([number]) => number > after).sort(([a], [b]) => a - b);
  const page = all.slice(0, count);
  return (
    page
      .map(
        ([number, { data, tag }]) =>
          `<Part><PartNumber>${number}</PartNumber><ETag>${xml(tag)}</ETag><Size>${data.length}</Size></Part>`,
      )
      .join("") +
    `<IsTruncated>${all.length > page.length}</IsTruncated>` +
    `<NextPartNumberMarker>${page.at(-1)?.[0] ?? 0}</NextPartNumberMarker>`
  );
}

/** As its completion says, which has to be right. */
function wholeOf({ parts }: Upload, list: string, least: number): Buffer {
  const found = [...list.matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>([^<]*)<\/ETag>/g)];
  if (found.length === 0) throw new Refusal(400, "MalformedXML");
  return Buffer.concat(
    found.map(([, number, tag], index) => {
      const part = parts.get(Number(number));
      if (Number(number) !== index + 1) throw new Refusal(400, "InvalidPartOrder");
      if (!part || part.tag !== tag) throw new Refusal(400, "InvalidPart", "No such part");
      if (index + 1 < found.length && part.data.length < least) {
        throw new Refusal(400, "EntityTooSmall");
      }
      return part.data;
    }),
  );
}

/** Throws a `Refusal` as S3 words it. */
async function checkSignature(request: IncomingMessage, url: URL): Promise<void> {
  const query = (name: string) => url.searchParams.get(`X-Amz-${name}`) ?? "";
  const [id, , region] = query("Credential").split("/");
  if (id !== KEYS.accessKeyId) throw new Refusal(403, "InvalidAccessKeyId", "Who is that?");
  if (region !== REGION) throw new Refusal(400, "AuthorizationHeaderMalformed", "Another region");
  const date = query("Date");
  const when = Date.parse(
    date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"),
  );
  if (!(Date.now() < when + Number(query("Expires")) * 1000)) {
    throw new Refusal(403, "AccessDenied", "Request has expired");
  }
  const names = query("SignedHeaders").split(";");
  if (!names.includes("host")) throw new Refusal(403, "AccessDenied", "The host is not signed");
  const headers = Object.fromEntries(
    names
      .filter((name) => name !== "host")
      .map((name) => [name, String(request.headers[name] ?? "")]),
  );
  const given = query("Signature");
  url.searchParams.delete("X-Amz-Signature");
  const signer = new AwsV4Signer({
    method: request.method!,
    url: url.toString(),
    headers,
    ...KEYS,
    ...{ service: "s3", region: REGION, datetime: date, signQuery: true, allHeaders: true },
  });
  const expected = await signer.signature();
  const isRight =
    given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected));
  if (!isRight) throw new Refusal(403, "SignatureDoesNotMatch", "The signature is not right");
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

function tagOf(data: Buffer): string {
  return `"${createHash("md5").update(data).digest("hex")}"`;
}

function xml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
