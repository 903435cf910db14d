/**
 * As much of Kubernetes' API server as the autoscaler talks to: Jobs and their pods, in memory.
 * Each request is checked against Kubernetes' schemas; what a real server would not take is
 * refused, and written down.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { problemsOfObject } from "./kubernetes-schemas.js";

interface Metadata {
  name: string;
  namespace?: string;
  uid?: string;
  labels?: Record<string, string>;
}
export interface FakeJob {
  readonly metadata: Metadata;
  readonly spec: {
    readonly template: {
      readonly metadata: Metadata;
      readonly spec: {
        readonly containers: readonly {
          readonly env?: readonly { readonly name: string; readonly value?: string }[];
        }[];
      };
    };
  };
  status: { conditions?: { type: string; status: string }[] };
}
interface FakePod {
  readonly metadata: Metadata;
  readonly spec: { nodeName?: string };
  readonly status: { phase: string };
}

/** Requests as `METHOD PATH`, without the query. */
const JOBS = /^\/apis\/batch\/v1\/namespaces\/([a-z0-9-]+)\/jobs(?:\/([a-z0-9-]+))?$/;
const PODS = /^\/api\/v1\/namespaces\/([a-z0-9-]+)\/pods$/;

export class KubernetesServer {
  readonly jobs = new Map<string, FakeJob>();
  readonly pods = new Map<string, FakePod>();
  readonly requests: string[] = [];
  /** What a real server would not have taken. */
  readonly complaints: string[] = [];
  /** The token that requests have to carry. */
  token = "secret-1";
  /** Answers instead, if it returns a status. */
  interfere: (request: IncomingMessage) => number | undefined = () => undefined;

  private constructor(private readonly server: Server) {
    server.on("request", (request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<KubernetesServer> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new KubernetesServer(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  /** A job's pod is given a node. */
  schedule(name: string): void {
    this.pods.get(name)!.spec.nodeName = "node-1";
    this.pods.get(name)!.status.phase = "Running";
  }

  /** A job's pod has ended. */
  finish(name: string, how: "Complete" | "Failed" = "Complete"): void {
    this.jobs.get(name)!.status = { conditions: [{ type: how, status: "True" }] };
    this.pods.get(name)!.status.phase = how === "Complete" ? "Succeeded" : "Failed";
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, "http://k");
    this.requests.push(`${request.method} ${url.pathname}`);
    let text = "";
    for await (const piece of request) text += piece;
    const status = this.interfere(request) ?? this.#refusal(request, text);
    const [code, body] =
      status === undefined ? this.#serve(request.method!, url, text) : failure(status, "no");
    response.writeHead(code, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  }

  #refusal(request: IncomingMessage, text: string): number | undefined {
    if (request.headers.authorization !== `Bearer ${this.token}`) return 401;
    if (text === "") return undefined;
    const complaints = [
      ...(request.headers["content-type"] === "application/json" ? [] : ["no JSON"]),
      ...problemsOfObject(JSON.parse(text)),
    ];
    this.complaints.push(...complaints);
    return complaints.length > 0 ? 400 : undefined;
  }

  #serve(method: string, url: URL, text: string): readonly [number, unknown] {
    const [, namespace, name] = JOBS.exec(url.pathname) ?? [];
    if (method === "POST" && namespace && !name) return this.#create(namespace, text);
    if (method === "DELETE" && name) {
      const isThere = this.jobs.delete(name);
      this.pods.delete(name);
      return isThere ? [200, { kind: "Status", status: "Success" }] : failure(404, "not found");
    }
    const objects = PODS.test(url.pathname) ? this.pods : namespace && !name ? this.jobs : null;
    if (method === "GET" && objects) return list([...objects.values()], url.searchParams);
    this.complaints.push(`${method} ${url.pathname}`);
    return failure(405, "the server does not allow this method on the requested resource");
  }

  #create(namespace: string, text: string): readonly [number, unknown] {
    const job = JSON.parse(text) as FakeJob;
    const { name } = job.metadata;
    if (this.jobs.has(name)) return failure(409, `jobs.batch "${name}" already exists`);
    const uid = `uid-${this.requests.length}`;
    const created = { ...job, metadata: { ...job.metadata, namespace, uid }, status: {} };
    this.jobs.set(name, created);
    const { labels } = job.spec.template.metadata;
    const metadata = { name: `${name}-x7k2p`, namespace, ...(labels && { labels }) };
    this.pods.set(name, { metadata, spec: {}, status: { phase: "Pending" } });
    return [201, created];
  }
}

/** A page of those with the label. */
function list(objects: readonly (FakeJob | FakePod)[], query: URLSearchParams) {
  const wanted = query.get("labelSelector")!.split(",");
  const fitting = objects.filter(({ metadata: { labels = {} } }) => {
    const has = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
    return wanted.every((each) => has.includes(each));
  });
  const from = Number(query.get("continue") ?? 0);
  const to = from + Number(query.get("limit"));
  const metadata = to < fitting.length ? { continue: String(to) } : {};
  return [200, { kind: "List", metadata, items: fitting.slice(from, to) }] as const;
}

function failure(code: number, message: string) {
  return [code, { kind: "Status", apiVersion: "v1", status: "Failure", message, code }] as const;
}
