/**
 * Kubernetes: each worker is a Job of its own (batch/v1), made from the operator's manifest. Four
 * calls: create and delete a Job, list Jobs, list their pods.
 *
 * The worker is called as the Job, by OCLUSTER_WORKER_ID in the pod's first container. A Job whose
 * pod has no node yet is pending: it can be deleted, and nobody loses anything. Any other is
 * deleted only when there is no worker in it.
 */
import { randomBytes } from "node:crypto";
import type { Instance } from "../decision/index.js";
import { type Driver, DriverError, type Launched, labelOf, MAX_INSTANCES } from "../driver.js";
import { type KubernetesApi, Refused } from "./kubernetes-api.js";
import type { JobManifest } from "./kubernetes-manifest.js";

export interface KubernetesOptions {
  readonly namespace: string;
  readonly manifest: JobManifest;
  readonly group: string;
  readonly pool: string;
}

/** How many are listed in one answer, as `kubectl` has it. */
const PAGE = 500;

const CONFLICT = 409;
const MISSING = 404;

/** Labels of what is made here. */
const POOL_LABEL = "ocluster-pool";
const GROUP_LABEL = "ocluster-group";
const WORKER_LABEL = "ocluster-worker";

interface Metadata {
  readonly name: string;
  readonly uid?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
}
interface Job {
  readonly metadata: Metadata;
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}
interface Pod {
  readonly metadata: Metadata;
  readonly spec?: { readonly nodeName?: string };
}

export class KubernetesDriver implements Driver {
  constructor(
    private readonly options: KubernetesOptions,
    private readonly api: KubernetesApi,
  ) {}

  get title(): string {
    const { group, namespace } = this.options;
    return `Kubernetes jobs of group "${group}" in namespace "${namespace}"`;
  }

  async list(signal: AbortSignal): Promise<Instance[]> {
    const jobs = await this.items<Job>(this.jobsPath, signal);
    const pods = await this.items<Pod>(`/api/v1/namespaces/${this.namespace}/pods`, signal);
    const begun = new Set(
      pods.flatMap(({ metadata: { labels }, spec }) =>
        spec?.nodeName ? (labels?.[WORKER_LABEL] ?? []) : [],
      ),
    );
    return jobs
      .filter((job) => !hasEnded(job))
      .map(({ metadata: { name } }) => ({
        id: name,
        phase: begun.has(name) ? "running" : "pending",
      }));
  }

  async launch(count: number, signal: AbortSignal): Promise<Launched> {
    const ids: string[] = [];
    while (ids.length < count) {
      const name = `${this.options.manifest.baseName}-${randomBytes(5).toString("hex")}`;
      try {
        await this.api.call("POST", this.jobsPath, signal, this.job(name));
        ids.push(name);
      } catch (error) {
        if (error instanceof Refused && error.status === CONFLICT) continue;
        if (!(error instanceof DriverError) || ids.length === 0) throw error;
        return { ids, failure: error.message };
      }
    }
    return { ids };
  }

  async cancel(ids: readonly string[], signal: AbortSignal): Promise<void> {
    // Since they were listed, some may have been given a node.
    const listed = await this.list(signal);
    const pending = new Set(listed.flatMap(({ id, phase }) => (phase === "pending" ? id : [])));
    await this.stop(
      ids.filter((id) => pending.has(id)),
      signal,
    );
  }

  async stop(ids: readonly string[], signal: AbortSignal): Promise<void> {
    for (const id of ids) {
      const body = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Background" };
      await this.api
        .call("DELETE", `${this.jobsPath}/${encodeURIComponent(id)}`, signal, body)
        .catch((error) => {
          if (!(error instanceof Refused && error.status === MISSING)) throw error;
        });
    }
  }

  private get namespace(): string {
    return encodeURIComponent(this.options.namespace);
  }

  private get jobsPath(): string {
    return `/apis/batch/v1/namespaces/${this.namespace}/jobs`;
  }

  /** By which they are found again. */
  private get labels(): Readonly<Record<string, string>> {
    const { group, pool } = this.options;
    return { [POOL_LABEL]: labelOf(pool), [GROUP_LABEL]: group };
  }

  private job(name: string) {
    const labels = { ...this.labels, [WORKER_LABEL]: name };
    return this.options.manifest.jobNamed(name, labels);
  }

  /** All objects of the group, page by page. */
  private async items<T>(path: string, signal: AbortSignal): Promise<T[]> {
    const selector = encodeURIComponent(
      Object.entries(this.labels)
        .map(([label, value]) => `${label}=${value}`)
        .join(","),
    );
    const found: T[] = [];
    for (let next = ""; ; ) {
      const onward = next && `&continue=${encodeURIComponent(next)}`;
      const query = `labelSelector=${selector}&limit=${PAGE}${onward}`;
      const { items, metadata } = await this.api.call("GET", `${path}?${query}`, signal);
      if (!Array.isArray(items))
        throw new DriverError(`Kubernetes has answered ${path} with no list`);
      found.push(...items);
      if (found.length > MAX_INSTANCES) {
        throw new DriverError(`Kubernetes lists more than ${MAX_INSTANCES} objects of the group`);
      }
      const more = (metadata as { readonly continue?: string } | undefined)?.continue;
      if (!more) return found;
      next = more;
    }
  }
}

function hasEnded({ metadata, status }: Job): boolean {
  if (metadata.deletionTimestamp !== undefined) return true;
  const conditions = status?.conditions ?? [];
  return conditions.some(
    ({ status: holds, type }) => holds === "True" && (type === "Complete" || type === "Failed"),
  );
}
