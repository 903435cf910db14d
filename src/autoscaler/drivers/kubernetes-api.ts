/**
 * Requests to Kubernetes' API server with a pod's service account: four calls are no reason for a
 * client library. `fetch` cannot be told whom to trust, so that they are Node's own HTTPS.
 *
 * https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
 */
import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { DriverError } from "../driver.js";

export interface KubernetesServer {
  /** `https://10.0.0.1:443`; `http:` only for `kubectl proxy` and the like. */
  readonly url: URL;
  /** A file with the token, which is read for each request: it is replaced every hour. */
  readonly tokenFile: string | undefined;
  /** A file with the certificates of who has signed the server's. */
  readonly caFile: string | undefined;
}

/** How long a request may take, in ms, and how long an answer may be, in bytes. */
const TIMEOUT_MS = 30_000;
const MAX_ANSWER = 64 * 1024 ** 2;

export type Method = "DELETE" | "GET" | "POST";

export class KubernetesApi {
  constructor(private readonly server: KubernetesServer) {}

  /**
   * The answer, from JSON. Rejects with a `DriverError` in the server's words if it refuses, with
   * its status.
   */
  async call(
    method: Method,
    path: string,
    signal: AbortSignal,
    body?: unknown,
  ): Promise<Readonly<Record<string, unknown>>> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    let answer: { readonly status: number; readonly text: string };
    try {
      answer = await this.send(method, path, deadline, body);
    } catch (error) {
      signal.throwIfAborted();
      const why = deadline.aborted
        ? `no answer within ${TIMEOUT_MS / 1000} s`
        : (error as Error).message;
      throw new DriverError(`Cannot talk to Kubernetes at ${this.server.url.origin}: ${why}`, {
        cause: error,
      });
    }
    const { status, text } = answer;
    const value = parsed(text);
    if (status >= 200 && status < 300 && value) return value;
    const { message } = (value ?? {}) as { readonly message?: unknown };
    const why = typeof message === "string" ? message : `status ${status}`;
    throw new Refused(`Kubernetes refuses ${method} ${path.replace(/\?.*/, "")}: ${why}`, status);
  }

  private send(
    method: Method,
    path: string,
    signal: AbortSignal,
    body: unknown,
  ): Promise<{ readonly status: number; readonly text: string }> {
    const { caFile, tokenFile, url } = this.server;
    const token = tokenFile && readFileSync(tokenFile, "utf8").trim();
    const data = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const options = {
      method,
      signal,
      headers: {
        accept: "application/json",
        ...(token && { authorization: `Bearer ${token}` }),
        ...(data && { "content-type": "application/json", "content-length": data.length }),
      },
    };
    const target = new URL(path, url);
    return new Promise((resolve, reject) => {
      const request =
        url.protocol === "http:"
          ? httpRequest(target, options)
          : httpsRequest(target, { ...options, ...(caFile && { ca: readFileSync(caFile) }) });
      request.on("error", reject);
      request.on("response", (response) => {
        const pieces: Buffer[] = [];
        let length = 0;
        response.on("error", reject);
        response.on("data", (piece: Buffer) => {
          length += piece.length;
          if (length > MAX_ANSWER) request.destroy(new Error("the answer is too long"));
          else pieces.push(piece);
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString() }),
        );
      });
      request.end(data);
    });
  }
}

/** A request that the server has answered with an error. */
export class Refused extends DriverError {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null
      ? (value as Readonly<Record<string, unknown>>)
      : null;
  } catch {
    return null;
  }
}
