/**
 * The driver for Kubernetes, with a server that has its four calls and takes only what a real one
 * would; and the manifests of deploy/. Nothing here has run on a real cluster.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { readSettings } from "../../src/autoscaler/config-file.js";
import { DriverError } from "../../src/autoscaler/driver.js";
import { KubernetesDriver } from "../../src/autoscaler/drivers/kubernetes.js";
import { KubernetesApi } from "../../src/autoscaler/drivers/kubernetes-api.js";
import { JobManifest } from "../../src/autoscaler/drivers/kubernetes-manifest.js";
import { problemsOfObject } from "../support/kubernetes-schemas.js";
import { KubernetesServer } from "../support/kubernetes-server.js";

const DEPLOY = join(import.meta.dirname, "../../deploy/kubernetes");

let dir: string;
let server: KubernetesServer;
let driver: KubernetesDriver;
const { signal } = new AbortController();

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-kubernetes-"));
  server = await KubernetesServer.start();
  writeFileSync(join(dir, "token"), `${server.token}\n`);
  driver = new KubernetesDriver(
    {
      ...{ namespace: "builds", group: "pods", pool: "linux" },
      manifest: manifestOf(join(DEPLOY, "worker-job.yml")),
    },
    new KubernetesApi({
      url: new URL(server.url),
      tokenFile: join(dir, "token"),
      caFile: undefined,
    }),
  );
});

afterEach(() => {
  expect(server.complaints).toEqual([]);
  server.stop();
  rmSync(dir, { recursive: true });
});

const manifestOf = (path: string) => JobManifest.of(readSettings(path), "pods");

describe("workers", () => {
  it("are Jobs of their own, whose names they have", async () => {
    const { ids } = await driver.launch(3, signal);
    expect(new Set(ids).size).toBe(3);
    expect([...server.jobs.keys()]).toEqual(ids);
    for (const [name, { metadata, spec }] of server.jobs) {
      expect(name).toMatch(/^ocluster-worker-[0-9a-f]{10}$/);
      const labels = {
        ...{ "ocluster-pool": "linux", "ocluster-group": "pods" },
        "ocluster-worker": name,
      };
      expect(metadata).toMatchObject({ namespace: "builds", labels });
      expect(spec.template.metadata.labels).toEqual(labels);
      expect(spec.template.spec.containers[0]!.env).toEqual([
        { name: "OCLUSTER_WORKER_ID", value: name },
      ]);
    }
  });

  it("are pending until they have a node, and not listed any more when they have ended", async () => {
    const { ids } = await driver.launch(4, signal);
    const [pending, running, complete, failed] = ids as [string, string, string, string];
    for (const id of [running, complete, failed]) server.schedule(id);
    server.finish(complete);
    server.finish(failed, "Failed");
    expect(await driver.list(signal)).toEqual([
      { id: pending, phase: "pending" },
      { id: running, phase: "running" },
    ]);
  });

  it("are listed page by page, and others' are not", async () => {
    const { ids } = await driver.launch(1201, signal);
    const [first, second] = server.jobs.values();
    first!.metadata.labels = { "ocluster-pool": "linux", "ocluster-group": "other" };
    second!.metadata.labels = { "ocluster-pool": "other", "ocluster-group": "pods" };
    server.requests.length = 0;
    expect((await driver.list(signal)).map(({ id }) => id)).toEqual(ids.slice(2));
    expect(server.requests.length).toBe(6);
  });

  it("are called off only while they have no node", async () => {
    const { ids } = await driver.launch(2, signal);
    server.schedule(ids[1]!);
    await driver.cancel(ids, signal);
    expect([...server.jobs.keys()]).toEqual([ids[1]]);
    await driver.stop([...ids, "gone"], signal);
    expect(server.jobs.size).toBe(0);
  });
});

describe("a server", () => {
  it("that has given another token in the meantime is shown that", async () => {
    await driver.list(signal);
    server.token = "secret-2";
    await expect(driver.list(signal)).rejects.toThrow(DriverError);
    writeFileSync(join(dir, "token"), server.token);
    expect(await driver.list(signal)).toEqual([]);
  });

  it("that refuses some keeps those that it has taken", async () => {
    let left = 2;
    server.interfere = ({ method }) => (method === "POST" && left-- <= 0 ? 403 : undefined);
    const { failure, ids } = await driver.launch(5, signal);
    expect(ids).toHaveLength(2);
    expect(failure).toBe("Kubernetes refuses POST /apis/batch/v1/namespaces/builds/jobs: no");
    await expect(driver.launch(1, signal)).rejects.toThrow("Kubernetes refuses POST");
  });

  it.each([500, 429, 200])(
    "that answers with status %i and no list has listed nothing",
    async (status) => {
      server.interfere = () => status;
      await expect(driver.list(signal)).rejects.toThrow(DriverError);
    },
  );

  it("that is not there is said to be", async () => {
    const { url } = server;
    server.stop();
    await expect(driver.list(signal)).rejects.toThrow(`Cannot talk to Kubernetes at ${url}: `);
  });

  it("that never answers is given up with who asks", async () => {
    const silent = new KubernetesApi({
      url: new URL(server.url),
      tokenFile: undefined,
      caFile: undefined,
    });
    const stop = new AbortController();
    server.interfere = () => {
      stop.abort(new Error("over"));
      return 500;
    };
    await expect(silent.call("GET", "/api", stop.signal)).rejects.toThrow("over");
  });
});

describe("a manifest", () => {
  const JOB = parse(readFileSync(join(DEPLOY, "worker-job.yml"), "utf8"));

  function read(change: (job: typeof JOB) => void): JobManifest {
    const job = structuredClone(JOB);
    change(job);
    const path = join(dir, "job.yml");
    writeFileSync(path, JSON.stringify(job));
    return manifestOf(path);
  }

  it("has filled in what is usual", () => {
    const manifest = read((job) => {
      delete job.metadata;
      delete job.spec.backoffLimit;
      delete job.spec.ttlSecondsAfterFinished;
      delete job.spec.template.metadata;
      delete job.spec.template.spec.restartPolicy;
      job.spec.template.spec.containers[0].env = [
        { name: "OCLUSTER_WORKER_ID", value: "mine" },
        { name: "OTHER", value: "$(OCLUSTER_WORKER_ID)" },
      ];
    });
    const job = manifest.jobNamed("x", { a: "b" });
    expect(problemsOfObject(job)).toEqual([]);
    expect(job).toMatchObject({
      metadata: { name: "x", labels: { a: "b" } },
      spec: {
        backoffLimit: 0,
        ttlSecondsAfterFinished: 600,
        template: {
          metadata: {
            annotations: { "cluster-autoscaler.kubernetes.io/safe-to-evict": "false" },
            labels: { a: "b" },
          },
          spec: {
            restartPolicy: "Never",
            containers: [
              {
                env: [
                  { name: "OCLUSTER_WORKER_ID", value: "x" },
                  { name: "OTHER", value: "$(OCLUSTER_WORKER_ID)" },
                ],
              },
            ],
          },
        },
      },
    });
    expect(manifest.baseName).toBe("ocluster-pods");
  });

  it.each([
    ["kind", "Pod", "expected a Job"],
    ["spec.backoffLimit", 6, "expected 0"],
    ["spec.parallelism", 2, "expected 1"],
    ["spec.template.spec.restartPolicy", "OnFailure", "expected Never"],
    ["spec.template.spec.containers", [], "expected a container"],
    ["metadata.name", "A_b", "expected lower-case"],
    ["metadata.name", "a".repeat(60), "expected lower-case"],
  ])("that would not do is refused: %s: %j", (path, value, why) => {
    const set = (job: typeof JOB) => {
      const keys = path.split(".");
      const last = keys.pop()!;
      let at = job;
      for (const key of keys) at = at[key];
      at[last] = value;
    };
    expect(() => read(set)).toThrow(`${path}: ${why}`);
  });
});

describe("deploy/kubernetes", () => {
  const objects = readdirSync(DEPLOY)
    .filter((name) => name.endsWith(".yml"))
    .flatMap((name) =>
      parseAllDocuments(readFileSync(join(DEPLOY, name), "utf8")).map((document) => ({
        name,
        object: document.toJS(),
      })),
    )
    .filter(({ object }) => object.kind && !["Kustomization", "ScaledJob"].includes(object.kind));

  it.each(objects)("$name, $object.kind: is as Kubernetes has it", ({ object }) => {
    expect(problemsOfObject(object)).toEqual([]);
  });

  it("has a Job in its ScaledJob that is as Kubernetes has it", () => {
    const { spec } = parse(readFileSync(join(DEPLOY, "keda.yml"), "utf8"));
    const job = { apiVersion: "batch/v1", kind: "Job", spec: spec.jobTargetRef };
    expect(problemsOfObject(job)).toEqual([]);
  });

  it("allows the calls that are made, and no others", async () => {
    const { ids } = await driver.launch(1, signal);
    await driver.list(signal);
    await driver.stop(ids, signal);
    const verbs: Readonly<Record<string, string>> = {
      POST: "create",
      GET: "list",
      DELETE: "delete",
    };
    const made = new Set(
      server.requests.map((request) => {
        const [, method, resource] = /^(\w+) .*\/(jobs|pods)(?:\/|$)/.exec(request)!;
        return `${verbs[method!]} ${resource}`;
      }),
    );
    const role = objects.find(({ object }) => object.kind === "Role")!.object;
    const allowed = role.rules.flatMap(
      ({ resources, verbs: may }: { resources: string[]; verbs: string[] }) =>
        resources.flatMap((resource) => may.map((verb) => `${verb} ${resource}`)),
    );
    expect([...made].sort()).toEqual(allowed.sort());
  });

  it("has what the kustomization names", () => {
    const { configMapGenerator, resources } = parse(
      readFileSync(join(DEPLOY, "kustomization.yml"), "utf8"),
    );
    const named = [
      ...resources,
      ...configMapGenerator.flatMap((each: { files: string[] }) => each.files),
    ];
    expect(readdirSync(DEPLOY)).toEqual(expect.arrayContaining(named));
  });
});

it("a schema that is broken is told of with the place", () => {
  expect(
    problemsOfObject({
      ...{ apiVersion: "batch/v1", kind: "Job", spek: {} },
      spec: { template: { spec: { containers: [{ nmae: "x", image: 7 }] } } },
    }).sort(),
  ).toEqual([
    "Job.spec.template.spec.containers[0].image: 7 is no string or null",
    "Job.spec.template.spec.containers[0].name is missing",
    "Job.spec.template.spec.containers[0].nmae: there is no such field",
    "Job.spek: there is no such field",
  ]);
});
