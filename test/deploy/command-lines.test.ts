/**
 * The files in `deploy/` start our programs with options that they have, and the image files agree
 * with each other.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { problemsOf } from "../docs/not-run.js";
import { composeServices } from "../support/compose.js";
import { unpackedPackage } from "../support/debian-package.js";
import { systemd } from "../support/systemd.js";

const ROOT = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** What the compose file mounts of `deploy/`: paths there by paths in the container. */
function mountsOf(service: string): Map<string, string> {
  const { volumes } = composeServices("deploy/compose.yml")[service]!;
  const binds = (volumes as string[]).map((volume) => volume.split(":") as [string, string]);
  return new Map(binds.filter(([from]) => from.startsWith("./")).map(([from, to]) => [to, from]));
}

it("puts the dashboard and the configuration where Grafana and Prometheus look for them", () => {
  const grafana = mountsOf("grafana");
  expect([...grafana]).toEqual([
    ["/etc/grafana/provisioning", "./grafana/provisioning"],
    ["/var/lib/grafana/dashboards", "./grafana/dashboards"],
  ]);
  // Of these names, Grafana knows what to do with what is in them.
  expect(readdirSync(join(ROOT, "deploy/grafana/provisioning")).sort()).toEqual([
    "dashboards",
    "datasources",
  ]);
  const { providers } = parse(read("deploy/grafana/provisioning/dashboards/ocluster.yml"));
  expect(grafana.has(providers[0].options.path)).toBe(true);
  const { datasources } = parse(read("deploy/grafana/provisioning/datasources/prometheus.yml"));
  const { hostname, port } = new URL(datasources[0].url);
  expect([hostname, port]).toEqual(["prometheus", "9090"]);

  const { command } = composeServices("deploy/compose.yml").prometheus!;
  const args = command as string[];
  const prometheus = join(unpackedPackage("prometheus"), "usr/bin/prometheus");
  expect(spawnSync(prometheus, [...args, "--help"]).status).toBe(0);
  const file = args.flatMap((arg) => /^--config.file=(.*)/.exec(arg)?.[1] ?? [])[0]!;
  const mounted = mountsOf("prometheus").get(dirname(file))!;
  expect(readdirSync(join(ROOT, "deploy", mounted))).toContain(basename(file));
});

/** The file of what an image, or a program of that name, runs. */
function entryPoint(name: string): string[] {
  return name === "ocluster-stress"
    ? ["scripts/run-ts.mjs", "bench/stress.ts"]
    : [`dist/bin/${name}.js`];
}

/** Command lines of the services of a compose file that are ours. */
function composeCommands(path: string): { readonly name: string; readonly args: string[] }[] {
  const services = Object.entries(composeServices(path)).sort();
  return services.flatMap(([, { image, command }]) => {
    const name = /(?:^|\/)(ocluster-\w+)(?::\w+)?$/.exec(image as string)?.[1];
    const args = (command ?? []) as string[];
    return name === undefined || args.length === 0 ? [] : [{ name, args }];
  });
}

function unitCommand(path: string): { readonly name: string; readonly args: string[] } {
  const [program, ...args] = /^ExecStart=(.*)$/m.exec(read(path))![1]!.split(" ");
  return { name: program!.replace("/usr/local/bin/", ""), args };
}

const commands = [
  ...["deploy/compose.yml", "deploy/stack.yml", "deploy/stack.worker.yml"].flatMap((path) =>
    composeCommands(path).map((command) => ({ path, ...command })),
  ),
  ...readdirSync(join(ROOT, "deploy/systemd")).map((name) => {
    const path = `deploy/systemd/${name}`;
    return { path, ...unitCommand(path) };
  }),
];

it("finds all of them", () => {
  expect(commands.map(({ path, name }) => `${path} ${name}`)).toEqual([
    "deploy/compose.yml ocluster-scheduler",
    "deploy/compose.yml ocluster-stress",
    "deploy/compose.yml ocluster-worker",
    "deploy/stack.yml ocluster-scheduler",
    "deploy/stack.worker.yml ocluster-worker",
    "deploy/systemd/ocluster-scheduler.service ocluster-scheduler",
    "deploy/systemd/ocluster-web.service ocluster-web",
    "deploy/systemd/ocluster-worker.service ocluster-worker",
  ]);
});

it.each(commands)("$path, $name: knows its options", ({ name, args }) => {
  // With --help, options are looked at, and nothing is done. What systemd fills in are more
  // options.
  const known = args.filter((arg) => arg !== "$OCLUSTER_ARGS");
  const { status, stderr } = spawnSync(
    process.execPath,
    [...entryPoint(name), ...known, "--help"],
    {
      cwd: ROOT,
      encoding: "utf8",
    },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

it("has units that systemd understands", () => {
  const units = readdirSync(join(ROOT, "deploy/systemd")).map((name) => `deploy/systemd/${name}`);
  const { stdout, stderr } = systemd("systemd-analyze", ["verify", "--man=no", ...units]);
  // The programs are where whoever uses the units puts them.
  const problems = `${stdout}${stderr}`
    .split("\n")
    .filter((line) => !/Command \/usr\/local\/bin\/ocluster-\w+ is not executable/.test(line));
  expect(problems).toEqual([""]);
});

const commented = [
  ...["Dockerfile", "Dockerfile.worker", "deploy/compose.yml", "deploy/stack.yml"],
  ...[
    "deploy/stack.worker.yml",
    ...readdirSync(join(ROOT, "deploy/systemd")).map((name) => `deploy/systemd/${name}`),
  ],
].map((path) => {
  const indented = read(path).matchAll(
    /^# {5}((?:[A-Z]+=\S+ )?(?:docker|echo|install|useradd) .*)$/gm,
  );
  return { path, commands: [...indented].map(([, command]) => command!) };
});

it.each(commented)("$path: says with which commands to use it", async ({ commands }) => {
  expect(commands.length).toBeGreaterThan(0);
  for (const command of commands) {
    expect([command, await problemsOf(command)]).toEqual([command, []]);
  }
});

describe("the image files", () => {
  const [scheduler, worker] = ["Dockerfile", "Dockerfile.worker"].map((path) =>
    read(path).replaceAll(/^#.*\n/gm, ""),
  );

  it("build the programs in the same way, so that it is done once", () => {
    const programs =
      /^ARG BASE=.*?(?=^FROM build AS (?!programs)|^FROM \$\{BASE\}(?: AS scheduler)?$)/ms;
    expect(programs.exec(scheduler!)![0]).toContain("npm prune");
    expect(programs.exec(worker!)![0].trim()).toBe(programs.exec(scheduler!)![0].trim());
  });

  it("name a base with its exact version", () => {
    expect(scheduler).toMatch(/^ARG BASE=\S+:\d+\.\d+\.\d+-\S+$/m);
  });
});
