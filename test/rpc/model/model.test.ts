/**
 * Random programs of calls, promises, releases, cancellations and disconnects between vats, with
 * every message delayed as it pleases. Checked: calls on a reference arrive at what it stands for,
 * in their order, once; every call comes to an end; nothing is left; and at every step, the
 * invariants of all tables. A failure names its seed (OCLUSTER_SEED=… repeats it) and shows the
 * tables.
 */
import { expect, test } from "vitest";
import { Random } from "./random.js";
import { World } from "./world.js";

const PROGRAMS = process.env.OCLUSTER_LONG === "1" ? 200_000 : 10_000;

/** Runs one program. Returns whether it tied a circle that only a disconnect undoes. */
async function runProgram(seed: number): Promise<boolean> {
  const random = new Random(seed);
  const world = new World(random, 2 + random.below(2), random.once(3));
  try {
    await world.run(20 + random.below(100));
  } catch (error) {
    throw new Error(`${error}\n${world.dump()}`);
  }
  return world.isCircular;
}

test(`${PROGRAMS} random programs`, { timeout: PROGRAMS * 50 }, async () => {
  if (process.env.OCLUSTER_SEED !== undefined) {
    await runProgram(Number(process.env.OCLUSTER_SEED));
    return;
  }
  const failed: string[] = [];
  let circular = 0;
  for (let seed = 1; seed <= PROGRAMS && failed.length < 5; seed++) {
    try {
      if (await runProgram(seed)) circular++;
    } catch (error) {
      failed.push(`OCLUSTER_SEED=${seed}: ${error}`);
    }
  }
  expect(failed).toEqual([]);
  expect(circular).toBeLessThanOrEqual(PROGRAMS / 1000);
});
