/**
 * The dashboard and the alerts know the metrics that there are: a real Prometheus with the
 * configuration of `deploy/` collects from a real scheduler and worker, and each of their queries
 * finds something.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";
import { freePort, run } from "../support/programs.js";
import { Prometheus, promtool, type Rule } from "../support/prometheus.js";

const DEPLOY = join(import.meta.dirname, "../../deploy");

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly expr: string }[];
}

const dashboard = JSON.parse(
  readFileSync(join(DEPLOY, "grafana/dashboards/ocluster.json"), "utf8"),
) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly query: { readonly query: string } }[] };
};
const panels = dashboard.panels.filter(({ type }) => type !== "row");
const queries = panels.flatMap(({ targets, title }) =>
  targets!.map(({ expr }) => [title, expr] as const),
);

/** A query of the dashboard as Prometheus gets it: for all pools and workers. */
function filledIn(expr: string): string {
  return expr.replaceAll(/\$(pool|worker)\b/g, ".*").replaceAll("$__rate_interval", "1m");
}

let cluster: Cluster;
let metricsPort: number;
let prometheus: Prometheus;

beforeAll(async () => {
  metricsPort = await freePort();
  cluster = await Cluster.start([`--listen-prometheus=127.0.0.1:${metricsPort}`]);
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(cluster.path("images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
  );
  await cluster.worker("my-host", [
    `--obuilder-store=overlayfs:${cluster.path("store")}`,
    `--obuilder-image-dir=${cluster.path("images")}`,
    "--obuilder-fetch=local",
    "--obuilder-prune-threshold=0",
  ]);
  // Each way to end, so that there is a series of each.
  for (const command of ["true", "false"]) {
    const spec = `((from busybox) (shell /bin/sh -c) (run (shell ${command})))`;
    const file = cluster.write(`${command}.spec`, spec);
    await cluster.submitSpec(file, ["--cache-hint=test"]).ended;
  }

  const found = await run("ocluster-admin", [
    ...["-c", cluster.cap("admin"), "exec", "linux-x86_64", "--", "echo"],
    `- {targets: ["127.0.0.1:${metricsPort}"], labels: {pool: linux-x86_64, worker: {}}}`,
  ]);
  prometheus = await Prometheus.start(join(DEPLOY, "prometheus"), (name, text) =>
    name === "workers.yml"
      ? found.stdout
      : text
          .replaceAll("scheduler:9090", `127.0.0.1:${metricsPort}`)
          .replaceAll("_interval: 15s", "_interval: 200ms"),
  );
  // A rate takes two values.
  for (const job of ["scheduler", "workers"]) {
    const seen = `count_over_time(capnp_net_connections{job="${job}"}[1m])`;
    await prometheus.until(seen, ([sample]) => Number(sample?.value[1] ?? 0) >= 2);
  }
});

afterAll(async () => {
  await prometheus?.stop();
  await cluster?.stop();
});

const page = async (path: string) =>
  (await fetch(`http://127.0.0.1:${metricsPort}/${path}`)).text();

/** The metrics that the scheduler and a worker have: their types by their names. */
async function exported(): Promise<Map<string, string>> {
  const pages = [await page("metrics"), await page("pool/linux-x86_64/worker/my-host/metrics")];
  return new Map(
    pages.flatMap((text) =>
      [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name!, type!] as const),
    ),
  );
}

it("tells KEDA how many workers are wanted", async () => {
  const manifest = readFileSync(join(DEPLOY, "kubernetes/keda.yml"), "utf8");
  const query = /^ *query: (.*)$/m.exec(manifest)![1]!;
  const [sample] = await prometheus.query(query);
  expect(Number(sample?.value[1])).toBe(0);
});

describe("the dashboard", () => {
  it("is for the data source that is set up", () => {
    const source = readFileSync(
      join(DEPLOY, "grafana/provisioning/datasources/prometheus.yml"),
      "utf8",
    );
    const uid = /uid: (.*)/.exec(source)![1];
    expect(panels.filter(({ datasource }) => datasource?.uid !== uid)).toEqual([]);
  });

  it.each(queries)("%s: %s", async (_title, expr) => {
    expect(await prometheus.query(filledIn(expr))).not.toEqual([]);
  });

  it("offers pools and workers to choose from", async () => {
    for (const { query } of dashboard.templating.list) {
      const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec(query.query)!;
      const samples = await prometheus.query(filledIn(selector!));
      expect(samples[0]?.metric[label!]).toMatch(/^(linux-x86_64|my-host)$/);
    }
  });

  it("shows every metric that a scheduler and a worker have", async () => {
    const shown = new Set(queries.flatMap(([, expr]) => expr.match(/\w+/g) ?? []));
    const families = [...(await exported()).keys()];
    expect(families.length).toBeGreaterThan(40);
    const isShown = (family: string) =>
      ["", "_bucket", "_sum", "_count"].some((suffix) => shown.has(family + suffix));
    expect(families.filter((family) => !isShown(family))).toEqual([]);
  });
});

describe("the documentation", () => {
  const text = readFileSync(join(DEPLOY, "../docs/monitoring.md"), "utf8");
  const section = (heading: string): string =>
    text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`))!;

  it("explains every metric, and none that there is not", async () => {
    // Rows of the tables: names, type, unit, meaning.
    const rows = [
      ...text.matchAll(/^\| (`\w+_\w+`(?:, `\w+`)*) \| (gauge|counter|histogram|summary) \|/gm),
    ];
    const explained = rows.flatMap(([, names, type]) =>
      [...names!.matchAll(/\w+/g)].map(([name]) => [name, type!] as const),
    );
    expect(new Set(explained.map(([name]) => name)).size).toBe(explained.length);
    expect(Object.fromEntries(explained)).toEqual(Object.fromEntries(await exported()));
  });

  it("explains every alert, and none that there is not", async () => {
    const explained = [...section("Alerts").matchAll(/`([A-Z]\w+)`/g)].map(([, name]) => name!);
    const rules = (await prometheus.rules()).map(({ name }) => name);
    expect(explained.sort()).toEqual(rules.sort());
  });

  it("names panels of the dashboard", () => {
    const named = [...section("What to look at when").matchAll(/\*([^*]+)\*/g)].map(
      ([, title]) => title!,
    );
    expect(named.length).toBeGreaterThan(5);
    const titles = panels.map(({ title }) => title);
    expect(named.filter((title) => !titles.includes(title))).toEqual([]);
  });
});

describe("the configuration", () => {
  it("is in order, with the files that it names", () => {
    promtool(
      "check",
      "config",
      "--lint=all",
      "--lint-fatal",
      join(DEPLOY, "prometheus/prometheus.yml"),
    );
  });
});

describe("the alerts", () => {
  it("are understood, and silent while all is well", async () => {
    let rules: Rule[] = [];
    do rules = await prometheus.rules();
    while (rules.some(({ health }) => health === "unknown"));
    expect(rules.length).toBeGreaterThan(10);
    expect(rules.filter(({ health, state }) => health !== "ok" || state !== "inactive")).toEqual(
      [],
    );
  });

  it("ask for metrics that there are", async () => {
    for (const { query } of await prometheus.rules()) {
      for (const name of query.match(/\b(?:ocluster|capnp|process|nodejs)_[a-z0-9_]+/g) ?? []) {
        expect([name, (await prometheus.query(name)).length > 0]).toEqual([name, true]);
      }
    }
  });

  it("lead to a section of the documentation", async () => {
    const text = readFileSync(join(DEPLOY, "../docs/troubleshooting.md"), "utf8");
    const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replaceAll(/[^\w -]/g, "")
        .replaceAll(" ", "-"),
    );
    for (const { annotations } of await prometheus.rules()) {
      const [, anchor] = annotations.runbook!.split("docs/troubleshooting.md#");
      expect(anchors).toContain(anchor);
    }
  });

  it("fire when they should, and not before", () => {
    promtool("test", "rules", join(import.meta.dirname, "alerts.promtool.yml"));
  });
});
