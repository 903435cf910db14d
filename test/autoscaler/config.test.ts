/** Configurations: those of deploy/, and what is said of those that are wrong. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { readConfig } from "../../src/autoscaler/config.js";
import { run } from "../support/programs.js";

const DEPLOY = join(import.meta.dirname, "../../deploy");

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-config-"));
  process.env.KUBERNETES_SERVICE_HOST = "10.0.0.1";
});

afterAll(() => {
  delete process.env.KUBERNETES_SERVICE_HOST;
  rmSync(dir, { recursive: true });
});

function read(text: string) {
  const path = join(dir, "pools.yml");
  writeFileSync(path, text);
  return readConfig(path);
}

const group = (settings: string) => `pools: {p: [{name: a, max: 1, ${settings}}]}`;
const COMMAND = "command: {launch: a, list: b}";

describe("deploy", () => {
  it.each([
    ["slurm", 'Slurm jobs "ocluster-linux-x86_64.nodes"'],
    ["swarm", `Swarm's service "workers"`],
    ["kubernetes", 'Kubernetes jobs of group "pods" in namespace "default"'],
  ])("%s: has a configuration", (kind, title) => {
    const [pool] = readConfig(join(DEPLOY, kind, "pools.yml"));
    expect(pool!.pool).toBe("linux-x86_64");
    expect(pool!.groups.map(({ driver }) => driver.title)).toEqual([title]);
  });

  it("starts workers with options that they have", async () => {
    const { spec } = parse(readFileSync(join(DEPLOY, "kubernetes/worker-job.yml"), "utf8"));
    const { pools } = parse(readFileSync(join(DEPLOY, "slurm/pools.yml"), "utf8"));
    const script: string = pools["linux-x86_64"][0].slurm.script;
    const [, line] = /exec ocluster-worker (.*)$/s.exec(script.replaceAll(/\\\n/g, " "))!;
    for (const args of [
      spec.template.spec.containers[0].args,
      line!.trim().replaceAll('"', "").split(/\s+/),
    ]) {
      // With --help, options are looked at, and nothing is done.
      expect(await run("ocluster-worker", [...args, "--help"])).toMatchObject({ code: 0 });
    }
  });
});

it("is YAML, of which JSON is a part, with durations and sizes as people write them", () => {
  const slurm = { script: "x", memory: "2G", "time-limit": "1h30m", arguments: ["--a"] };
  const [pool] = read(
    JSON.stringify({ pools: { p: [{ name: "a", max: 3, "cool-down": "2m", slurm }] } }),
  );
  expect(pool!.groups[0]!.limits).toEqual({
    ...{ min: 0, max: 3, backlog: 10, perMinute: 30, coolDown: 120 },
    ...{ startTimeout: 900, goneTimeout: 900 },
  });
});

it.each([
  ["", "expected a mapping"],
  ["pools: {}", "pools: names no pool"],
  ["pools: {p: []}", "pools.p: expected a list"],
  ["pools: {p: {}}", "pools.p: expected a list"],
  ["pool: {p: []}", "pools: names no pool"],
  ["pools: {p: [{max: 1}]}", "pools.p[0].name: is missing"],
  ["pools: {p: [{name: A b, max: 1}]}", "pools.p[0].name: expected lower-case letters"],
  ["pools: {p: [{name: a}]}", "pools.p[0].max: is missing"],
  [group(""), "pools.p[0]: expected one of slurm, swarm, kubernetes, command"],
  [group(`${COMMAND}, swarm: {service: x}`), "pools.p[0]: expected one of slurm, swarm"],
  [group("command: {launch: a}"), "pools.p[0].command.list: is missing"],
  [group(`${COMMAND}, maxx: 2`), "pools.p[0].maxx: there is no such setting; there are backlog,"],
  [group("command: {launch: a, list: b, stopp: c}"), "pools.p[0].command.stopp: there is no such"],
  [group(`${COMMAND}, min: 2`), "pools.p[0].min: is more than max, 1"],
  [group(`${COMMAND}, min: -1`), "pools.p[0].min: expected at least 0"],
  [group(`${COMMAND}, min: 0.5`), "pools.p[0].min: 0.5 is not a whole number"],
  [group(`${COMMAND}, cool-down: soon`), 'pools.p[0].cool-down: "soon" is not a duration'],
  [group("slurm: {script: x, memory: lots}"), 'memory: "lots" is not a size such as 64G'],
  [group("slurm: {script: [x]}"), "pools.p[0].slurm.script: expected a text"],
  [group("slurm: {script: x, arguments: --a}"), "arguments: expected a list of texts"],
  [group("kubernetes: {manifest: none.yml}"), "Cannot read"],
  ["pools: {p: [{name: a, max: 1}, {name: a", "at line 1, column 40"],
  ["a: 1\na: 2", "Map keys must be unique"],
  [
    `${"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"}d: [*c,*c,*c,*c,*c,*c,*c,*c,*c]`,
    "Excessive alias count",
  ],
  ["x".repeat(1024 ** 2 + 1), "is longer than 1048576 bytes"],
])("%#: says what is wrong", (text, why) => {
  expect(() => read(text)).toThrow(why);
});

it("has each group once, whatever its pool", () => {
  expect(() =>
    read(`pools: {p: [{name: a, max: 1, ${COMMAND}}], q: [{name: a, max: 1, ${COMMAND}}]}`),
  ).toThrow('pools.q[0].name: there is a group "a" already');
});
