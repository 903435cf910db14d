/**
 * Valid sessions, spoiled: nothing that a peer sends may crash us, keep us busy, or make us keep
 * anything.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Connection } from "../../../src/rpc/index.js";
import { Random } from "../model/random.js";
import { mutate } from "./mutate.js";
import { Party, type Recording, record, Wire } from "./session.js";

const FRAMES = process.env.OCLUSTER_LONG === "1" ? 1_000_000 : 50_000;

/** CPU time that a message may take, in ms. */
const MAX_MS = 100;

/** What may be left of the memory that all of this took, in MB: caches and compiled code. */
const MAX_GROWTH_MB = 20;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

let recording: Recording;
const unhandled: unknown[] = [];
const onUnhandled = (error: unknown) => unhandled.push(error);

beforeAll(async () => {
  recording = await record();
  process.on("unhandledRejection", onUnhandled);
  process.on("uncaughtException", onUnhandled);
});

afterAll(() => {
  process.off("unhandledRejection", onUnhandled);
  process.off("uncaughtException", onUnhandled);
});

/** Plays one side against its recording, with some messages spoiled. Returns how many were. */
async function play(random: Random, recording: Recording): Promise<number> {
  const party = new Party();
  const wire = new Wire();
  const connection = new Connection(wire, { bootstrap: party.service });
  try {
    return await playOn(connection, wire, party, random, recording);
  } catch (error) {
    throw new Error(`${error}\n${connection.dump()}`);
  }
}

async function playOn(
  connection: Connection,
  wire: Wire,
  party: Party,
  random: Random,
  { toServer, toClient }: Recording,
): Promise<number> {
  const isServer = random.once(2);
  const script = isServer ? toServer : toClient;
  const all = [...toServer, ...toClient].filter((step) => step !== "release");
  if (!isServer) party.ask(connection);
  let spoiled = 0;
  // Some sessions run well for long, so that there is something to spoil; most are spoiled early,
  // which is quicker.
  const from = random.below(1 + random.below(script.length));
  for (const [i, step] of script.entries()) {
    if (wire.isClosed) break;
    if (step === "release") {
      party.release();
      continue;
    }
    const isSpoiled = i >= from && random.once(2);
    const chunks = isSpoiled ? mutate(random, step, all) : [step];
    if (isSpoiled) spoiled++;
    for (const chunk of chunks) {
      const start = process.cpuUsage();
      wire.deliver(chunk);
      const { user } = process.cpuUsage(start);
      expect(user / 1000).toBeLessThan(MAX_MS);
      expect(connection.check()).toEqual([]);
    }
    await turn();
  }
  await turn();
  party.release();
  await turn();
  wire.close();
  await turn();
  await turn();
  const { questions, answers, imports, exports, embargoes } = connection.stats();
  expect({ questions, answers, imports, exports, embargoes }).toEqual({
    questions: 0,
    answers: 0,
    imports: 0,
    exports: 0,
    embargoes: 0,
  });
  expect(party.census.alive).toBe(0);
  return spoiled;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function megabytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await turn();
    collectGarbage();
  }
  const { heapUsed, arrayBuffers, external } = process.memoryUsage();
  return (heapUsed + arrayBuffers + external) / 1e6;
}

test("the session itself is played without an error", async () => {
  expect(recording.toServer.length).toBeGreaterThan(40);
  expect(recording.toClient.length).toBeGreaterThan(30);
  for (const isServer of [true, false]) {
    const party = new Party();
    const wire = new Wire();
    const connection = new Connection(wire, { bootstrap: party.service });
    if (!isServer) party.ask(connection);
    const script = isServer ? recording.toServer : recording.toClient;
    for (const step of script) {
      expect(connection.error).toBeUndefined();
      if (step === "release") party.release();
      else wire.deliver(step);
      await turn();
    }
    expect(party.census.alive).toBe(0);
  }
});

test(`${FRAMES} spoiled messages`, { timeout: 60_000 + FRAMES * 2 }, async () => {
  const seedOnly = process.env.OCLUSTER_SEED;
  if (seedOnly !== undefined) {
    await play(new Random(Number(seedOnly)), recording);
    return;
  }
  let spoiled = 0;
  let before = 0;
  const failed: string[] = [];
  for (let seed = 1; spoiled < FRAMES && failed.length < 5; seed++) {
    try {
      spoiled += await play(new Random(seed), recording);
    } catch (error) {
      failed.push(`OCLUSTER_SEED=${seed}: ${error}`);
    }
    // The first thousand warm everything up.
    if (seed === 1000) before = await megabytes();
  }
  expect(failed).toEqual([]);
  expect(unhandled).toEqual([]);
  expect((await megabytes()) - before).toBeLessThan(MAX_GROWTH_MB);
});
