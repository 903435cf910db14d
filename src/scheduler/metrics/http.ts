/**
 * Metrics over HTTP: the scheduler's own, and each worker's, which come over the worker's
 * connection as workers cannot be reached from outside.
 *
 *     /metrics                               the scheduler
 *     /pool/POOL/worker/WORKER/metrics       the worker
 *     /pool/POOL/worker/WORKER/host-metrics  the machine it runs on
 *     /pool/POOL/worker/WORKER/NAME          another source of metrics there
 *     /healthz                               200 while the process works
 *     /readyz                                200 while it accepts connections, else 503
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Worker } from "../../api/index.js";
import type { Logger } from "../../console/index.js";
import { CommandFailed } from "../../console/index.js";
import type { Capability } from "../../rpc/index.js";
import { formatHostPort, listenProblem } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import type { ClusterPool } from "../services/cluster-pool.js";

/**
 * A worker that takes longer than this to give its metrics is not waited for: Prometheus' own
 * default is 10 s.
 */
const WORKER_TIMEOUT_MS = 9_000;

export interface MetricsServerOptions {
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  readonly port: number;
  /** The scheduler's own metrics. */
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly pools: ReadonlyMap<string, ClusterPool>;
  isReady(): boolean;
  readonly log: Logger;
}

interface Page {
  readonly status: number;
  readonly contentType?: string;
  readonly allow?: string;
  readonly body: string;
}

export class MetricsServer {
  private constructor(
    private readonly server: Server,
    private readonly options: MetricsServerOptions,
  ) {
    server.on("request", (request, response) => void this.answer(request, response));
  }

  /** Rejects with a `CommandFailed` if it cannot listen. */
  static async listen(options: MetricsServerOptions): Promise<MetricsServer> {
    const server = createServer();
    const { host, port } = options;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => {
        const place = formatHostPort({ host: host ?? "*", port });
        reject(new CommandFailed(`Cannot provide metrics on ${place}: ${listenProblem(error)}`));
      });
      server.listen({ port, host }, resolve);
    });
    return new MetricsServer(server, options);
  }

  /** The real one, if port 0 was asked for. */
  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let page: Page;
    try {
      page = await this.page(request);
    } catch (error) {
      this.options.log.error(`Cannot answer ${request.url}: ${error}`);
      page = { status: 500, body: "Internal error" };
    }
    response.writeHead(page.status, {
      "Content-Type": page.contentType ?? "text/plain; charset=utf-8",
      ...(page.allow && { Allow: page.allow }),
    });
    response.end(page.body);
  }

  private async page({ method, url }: IncomingMessage): Promise<Page> {
    if (method !== "GET" && method !== "HEAD") return WRONG_METHOD;
    const path = segments(url);
    if (!path) return BAD_REQUEST;
    const [first, pool, second, worker, source] = path;
    if (path.length === 1) return this.ownPage(first!);
    if (path.length === 5 && first === "pool" && second === "worker") {
      return this.workerPage(pool!, worker!, source!);
    }
    return BAD_REQUEST;
  }

  private async ownPage(name: string): Promise<Page> {
    const { isReady, metrics } = this.options;
    switch (name) {
      case "metrics":
        return { status: 200, contentType: metrics.contentType, body: await metrics.text() };
      case "healthz":
        return { status: 200, body: "ok\n" };
      case "readyz":
        return isReady() ? { status: 200, body: "ok\n" } : { status: 503, body: "not ready\n" };
      default:
        return BAD_REQUEST;
    }
  }

  private async workerPage(poolName: string, name: string, source: string): Promise<Page> {
    const { log, pools } = this.options;
    const pool = pools.get(poolName);
    if (!pool) return { status: 400, body: "No such pool" };
    const session = pool.workers.get(name);
    if (!session) return { status: 400, body: "Worker not connected" };
    using worker = session.worker();
    try {
      const metrics = await collect(worker, source);
      if (!metrics) return { status: 404, body: "Not found" };
      return { status: 200, contentType: headerValue(metrics.contentType), body: metrics.data };
    } catch (error) {
      log.warn(`Error getting metrics for ${quoted(poolName)}/${quoted(name)}: ${error}`);
      return { status: 500, body: "Worker metrics collection failed" };
    }
  }
}

/**
 * Not 404, which is for what a worker does not have, nor 405: the reference answers 400 to all that
 * it does not understand.
 */
const BAD_REQUEST: Page = {
  status: 400,
  body: `Bad request
There are these pages:
  /metrics
  /pool/POOL/worker/WORKER/metrics
  /pool/POOL/worker/WORKER/host-metrics
  /pool/POOL/worker/WORKER/NAME
  /healthz
  /readyz
`,
};

const METHODS = "GET, HEAD";
const WRONG_METHOD: Page = {
  status: 400,
  allow: METHODS,
  body: `Bad request\nUse one of: ${METHODS}\n`,
};

/** The parts of a URL's path, decoded; null if it makes no sense. Empty ones do not count. */
function segments(url = "/"): string[] | null {
  try {
    return url
      .replace(/[?#].*$/s, "")
      .split("/")
      .filter((part) => part !== "")
      .map(decodeURIComponent);
  } catch {
    return null;
  }
}

function collect(worker: Capability, source: string): Promise<Worker.Metrics | null> {
  const options = { signal: AbortSignal.timeout(WORKER_TIMEOUT_MS) };
  switch (source) {
    case "metrics":
      return Worker.metrics(worker, "agent", options);
    case "host-metrics":
      return Worker.metrics(worker, "host", options);
    default:
      return Worker.additionalMetric(worker, source, options);
  }
}

/** A content type as a worker says it is, as far as it can stand in a header. */
function headerValue(text: string): string {
  return text.replace(/[^ -~]/g, "") || "text/plain";
}
