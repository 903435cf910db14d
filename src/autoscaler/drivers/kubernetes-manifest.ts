/**
 * The operator's manifest of a Job, from which each worker's is made. What would have workers
 * started again, doubled or ended while they are busy is refused; what is usual and left out is
 * filled in.
 */
import type { Settings } from "../settings.js";

type Json = Record<string, unknown>;

/** How long a finished Job stays, in seconds, unless the manifest says. */
const FINISHED_JOBS = 600;

/** Longest name of a Job, less what is appended. */
const BASE_LENGTH = 63 - 11;

/** Of a name that Kubernetes takes for a Job and as a label. */
const NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

export class JobManifest {
  private constructor(
    /** With which the names of Jobs begin. */
    readonly baseName: string,
    private readonly job: Json,
  ) {}

  /** Throws a `ConfigError` that names the place. */
  static of(settings: Settings, group: string): JobManifest {
    const job = structuredClone(settings.object()) as Json;
    const expect = (holds: boolean, path: string, what: string) => {
      if (!holds) throw settings.error(path, what);
    };
    expect(
      job.kind === "Job" && job.apiVersion === "batch/v1",
      "kind",
      "expected a Job of batch/v1",
    );
    const metadata = objectIn(job, "metadata");
    const spec = objectIn(job, "spec");
    const template = objectIn(spec, "template");
    const podSpec = objectIn(template, "spec");
    const base = (metadata.name ?? metadata.generateName ?? `ocluster-${group}`) as string;
    const name = String(base).replace(/-+$/, "");
    expect(
      NAME.test(name) && name.length <= BASE_LENGTH,
      "metadata.name",
      `expected lower-case letters, digits and dashes, ${BASE_LENGTH} at most`,
    );
    const containers = podSpec.containers as Json[] | undefined;
    expect(
      Array.isArray(containers) && containers.length > 0,
      "spec.template.spec.containers",
      "expected a container",
    );
    for (const key of ["parallelism", "completions"]) {
      expect((spec[key] ?? 1) === 1, `spec.${key}`, "expected 1: each worker is a Job of its own");
    }
    podSpec.restartPolicy ??= "Never";
    expect(
      podSpec.restartPolicy === "Never",
      "spec.template.spec.restartPolicy",
      "expected Never: a worker that has ended is not wanted any more",
    );
    spec.backoffLimit ??= 0;
    expect(
      spec.backoffLimit === 0,
      "spec.backoffLimit",
      "expected 0: failed workers are replaced here",
    );
    spec.ttlSecondsAfterFinished ??= FINISHED_JOBS;
    delete metadata.generateName;
    delete job.status;
    // Otherwise a cluster autoscaler moves busy workers to save a node.
    const annotations = objectIn(objectIn(template, "metadata"), "annotations");
    annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] ??= "false";
    return new JobManifest(name, job);
  }

  /** The Job to be made of a worker. */
  jobNamed(name: string, labels: Readonly<Record<string, string>>): Json {
    const job = structuredClone(this.job);
    const metadata = objectIn(job, "metadata");
    metadata.name = name;
    metadata.labels = { ...(metadata.labels as Json), ...labels };
    const template = objectIn(objectIn(job, "spec"), "template");
    const podMetadata = objectIn(template, "metadata");
    podMetadata.labels = { ...(podMetadata.labels as Json), ...labels };
    const [first] = objectIn(template, "spec").containers as [Json];
    const others = ((first.env as Json[] | undefined) ?? []).filter(
      (each) => each.name !== "OCLUSTER_WORKER_ID",
    );
    // Before the others, which may refer to it.
    first.env = [{ name: "OCLUSTER_WORKER_ID", value: name }, ...others];
    return job;
  }
}

/** The object at a key, made if there is none. */
function objectIn(parent: Json, key: string): Json {
  const value = parent[key];
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  const made: Json = {};
  parent[key] = made;
  return made;
}
