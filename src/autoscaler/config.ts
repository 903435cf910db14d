/**
 * The autoscaler's configuration: pools, and for each the groups of instances that its workers can
 * be in, the one that is to be used first at first. YAML, of which JSON is a part. docs/scaling.md
 * has all settings.
 */
import { quoted } from "../text/index.js";
import { readSettings } from "./config-file.js";
import type { Limits } from "./decision/index.js";
import type { Driver } from "./driver.js";
import { driverOf } from "./drivers/index.js";
import type { Settings } from "./settings.js";

export interface GroupConfig {
  readonly name: string;
  readonly limits: Limits;
  readonly driver: Driver;
}

export interface PoolConfig {
  readonly pool: string;
  readonly groups: readonly GroupConfig[];
}

/** Of a group: part of names of jobs, and a label in Kubernetes. */
const NAME = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;

/** Throws a `ConfigError`. */
export function readConfig(path: string): PoolConfig[] {
  const settings = readSettings(path);
  const pools = settings.section("pools");
  if (!pools || pools.keys().length === 0) throw settings.error("pools", "names no pool");
  settings.done();
  const names = new Set<string>();
  return pools.keys().map((pool) => ({
    pool,
    groups: pools.sections(pool).map((section) => {
      const group = readGroup(section, pool);
      if (names.has(group.name)) {
        throw section.error("name", `there is a group ${quoted(group.name)} already`);
      }
      names.add(group.name);
      return group;
    }),
  }));
}

function readGroup(settings: Settings, pool: string): GroupConfig {
  const name = settings.requiredText("name");
  if (!NAME.test(name)) {
    throw settings.error("name", "expected lower-case letters, digits and dashes, 40 at most");
  }
  const min = settings.integer("min", {}) ?? 0;
  const max = settings.integer("max", { min: 1, max: 10_000 });
  if (max === undefined) throw settings.error("max", "is missing");
  if (min > max) throw settings.error("min", `is more than max, ${max}`);
  const limits = {
    min,
    max,
    backlog: settings.integer("backlog", { min: 1 }) ?? 10,
    perMinute: settings.integer("per-minute", { min: 1 }) ?? 30,
    coolDown: settings.duration("cool-down") ?? 300,
    startTimeout: settings.duration("start-timeout", { min: 1 }) ?? 900,
    goneTimeout: settings.duration("gone-timeout", { min: 1 }) ?? 900,
  };
  const driver = driverOf(settings, name, pool);
  settings.done();
  return { name, limits, driver };
}
