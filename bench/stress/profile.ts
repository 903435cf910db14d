/**
 * How a simulated client behaves, and how that is said on the command line: `NAME,KEY=VALUE,…`.
 */
import {
  decimal,
  duration,
  integer,
  nonEmpty,
  type Parser,
  percentage,
  size,
  ValueError,
} from "../../src/cli/values.js";

const SETTINGS = {
  /** How many parallel jobs the scheduler owes it. */
  rate: decimal({ min: 0.001 }),
  /** How many jobs it submits at a time. */
  batch: integer({ min: 1 }),
  /** Seconds between two batches, on average. */
  every: duration,
  /** Its jobs have this many different cache hints; 0: none. */
  hints: integer({ min: 0 }),
  /**
   * Seconds that a job takes on a worker that has not seen its hint, and on one that has, on
   * average.
   */
  cold: duration,
  warm: duration,
  /** Bytes of output of a job. */
  output: size(),
  /**
   * How many of 100 jobs are urgent, fail, and are cancelled by the client while they wait or run.
   */
  urgent: percentage,
  failing: percentage,
  cancelled: percentage,
  /** It submits nothing while it has this many jobs waiting and running. */
  most: integer({ min: 1 }),
} satisfies Record<string, Parser<number>>;

type Setting = keyof typeof SETTINGS;

export interface Profile extends Readonly<Record<Setting, number>> {
  readonly name: string;
}

const DEFAULTS: Readonly<Record<Setting, number>> = {
  rate: 1,
  batch: 1,
  every: 1,
  hints: 10,
  cold: 10,
  warm: 1,
  output: 4096,
  urgent: 0,
  failing: 1,
  cancelled: 0,
  most: 10_000,
};

/** Steady, small and urgent against large and patient: what fair queueing is for. */
export const DEFAULT_PROFILES: readonly Profile[] = [
  { ...DEFAULTS, name: "pulls", rate: 4, batch: 7, every: 5, hints: 40, urgent: 50, cancelled: 5 },
  { ...DEFAULTS, name: "rebuild", rate: 2, batch: 400, every: 120, hints: 400, cold: 8 },
];

export const profile: Parser<Profile> = (text) => {
  const [name = "", ...settings] = text.split(",");
  const values: Record<Setting, number> = { ...DEFAULTS };
  for (const setting of settings) {
    const [, key, value] = /^(\w+)=(.*)$/s.exec(setting) ?? [];
    if (key === undefined || !isSetting(key)) {
      const known = Object.keys(SETTINGS).join(", ");
      throw new ValueError(`'${setting}' is not KEY=VALUE with a key of ${known}`);
    }
    values[key] = SETTINGS[key](value!);
  }
  return { ...values, name: nonEmpty(name) };
};

function isSetting(key: string): key is Setting {
  return Object.hasOwn(SETTINGS, key);
}
