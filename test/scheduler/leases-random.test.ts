/**
 * Random histories of leases, against what must hold whatever happens: workers that tell some ends,
 * give some back, are lost in the middle of many and come back with some, say again what counts no
 * more; schedulers that are killed; clients that cancel.
 */
import { expect, it } from "vitest";
import { JobRecords } from "../../src/api/index.js";
import { Random } from "../rpc/model/random.js";
import { BulkWorker, type TestLease } from "./bulk-worker.js";
import type { TestClient, TestJob } from "./network.js";
import { StateHome } from "./state-home.js";

const home = StateHome.forEachTest();

const SEEDS = process.env.OCLUSTER_LONG === "1" ? 100 : 3;
const STEPS = 50;
const WORKERS = ["w1", "w2", "w3"];

interface Held {
  readonly lease: TestLease;
  /** It runs; else it waits for room. */
  begun: boolean;
  /** The scheduler follows it. */
  job?: TestJob;
}

class Place {
  worker: BulkWorker | undefined;
  held: Held[] = [];
  /** What may be said again, though it does not count any more. */
  readonly old: TestLease[] = [];
  asking: Promise<void> | undefined;

  constructor(readonly name: string) {}
}

class History {
  private readonly random: Random;
  private readonly places = WORKERS.map((name) => new Place(name));
  private readonly jobs: number[] = [];
  /** Of attempts that workers said have succeeded, what was said; by `job/attempt`. */
  private readonly told = new Map<string, string>();
  /** Jobs whose ends were answered: so they have ended, for ever. */
  private readonly answered = new Map<number, string>();

  constructor(
    private alice: TestClient,
    seed: number,
  ) {
    this.random = new Random(seed);
  }

  async run(): Promise<void> {
    for (let step = 0; step < STEPS; step++) await this.step();
    await this.finish();
    await this.check();
  }

  private async step(): Promise<void> {
    const { random } = this;
    const place = random.pick(this.places)!;
    const dice = random.below(100);
    if (dice < 25) await this.submit(1 + random.below(8));
    else if (dice < 50) await this.ask(place);
    else if (dice < 68) await this.end(place, this.some(place));
    else if (dice < 74) await this.giveBack(place);
    else if (dice < 80) await this.follow(place);
    else if (dice < 85) await this.sayAgain(place);
    else if (dice < 90) await this.cancel();
    else if (dice < 97) await this.lose(place);
    else await this.kill();
  }

  private async submit(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      this.jobs.push(await this.alice.submitDurable("null", { lostRetries: 1000 }));
    }
  }

  private async connect(place: Place): Promise<BulkWorker> {
    if (place.worker) return place.worker;
    const worker = await BulkWorker.connect(home.network, place.name, { capacity: 2 });
    place.worker = worker;
    const { held } = place;
    place.held = [];
    for (const one of held) {
      // What had not begun never was here.
      if (!one.begun) {
        place.old.push(one.lease);
        continue;
      }
      const crashed = this.random.below(5) === 0;
      const { job, verdict } = await worker.resume(one.lease, crashed ? "crashed" : "running");
      if (verdict === "goOn") place.held.push({ lease: one.lease, begun: true, job });
      else place.old.push(one.lease);
    }
    return worker;
  }

  private async ask(place: Place): Promise<void> {
    const worker = await this.connect(place);
    if (place.asking) return;
    const take = async () => {
      const leases = await worker.take(1 + this.random.below(3), this.random.below(10));
      for (const lease of leases) place.held.push({ lease, begun: this.random.below(2) === 0 });
      place.asking = undefined;
    };
    place.asking = take().catch(() => {
      place.asking = undefined;
    });
    // Answered when something comes by; others go on meanwhile.
    await Promise.race([place.asking, this.alice.record(await this.anyJob())]);
  }

  private some(place: Place): Held[] {
    return place.held.filter(() => this.random.below(3) > 0);
  }

  private async end(place: Place, some: readonly Held[]): Promise<void> {
    const { worker } = place;
    if (!worker) return;
    place.held = place.held.filter((one) => !some.includes(one));
    const bulk = some.filter(({ job }) => !job).map(({ lease }) => lease);
    for (const { job, lease } of some) {
      if (!job) continue;
      job.end("succeeded", { output: this.tell(lease) });
      await job.settled.promise.catch(() => {});
    }
    if (bulk.length === 0) return;
    for (const lease of bulk) this.tell(lease);
    // All in one call, whose answer says that they are on disk.
    await worker.end(bulk, { output: "bulk" });
    for (const lease of bulk) place.old.push(lease);
    for (const { attempt, job } of bulk) {
      const record = await this.alice.record(job);
      if (record.state === "cancelled" || record.attempts.length !== attempt) continue;
      expect(record).toMatchObject({ state: "succeeded", output: "bulk" });
      this.answered.set(job, "succeeded");
    }
  }

  private tell({ attempt, job }: TestLease): string {
    this.told.set(`${job}/${attempt}`, "succeeded");
    return "bulk";
  }

  private async giveBack(place: Place): Promise<void> {
    const given = place.held.filter(({ begun }) => !begun);
    if (!place.worker || given.length === 0) return;
    place.held = place.held.filter(({ begun }) => begun);
    const leases = given.map(({ lease }) => lease);
    place.old.push(...leases);
    await place.worker.giveBack(leases);
  }

  private async follow(place: Place): Promise<void> {
    const one = place.held.find(({ job }) => !job);
    if (!place.worker || !one) return;
    one.begun = true;
    const { job, verdict } = await place.worker.begin(one.lease);
    if (verdict === "goOn") one.job = job;
    else place.held = place.held.filter((other) => other !== one);
  }

  /** What does not count any more changes nothing. */
  private async sayAgain(place: Place): Promise<void> {
    if (!place.worker || place.old.length === 0) return;
    const lease = this.random.pick(place.old)!;
    const isHeld = place.held.some(
      ({ lease: { attempt, job } }) => job === lease.job && attempt === lease.attempt,
    );
    if (isHeld) return;
    const before = await this.alice.record(lease.job);
    await place.worker.end([lease], { cause: "failed", reason: "late" });
    const after = await this.alice.record(lease.job);
    expect(after.state).toBe(before.state);
    expect(after.reason).not.toBe("late");
  }

  private async anyJob(): Promise<number> {
    if (this.jobs.length === 0) await this.submit(1);
    return this.random.pick(this.jobs)!;
  }

  private async cancel(): Promise<void> {
    await JobRecords.cancel(this.alice.submission, await this.anyJob(), "");
  }

  private async lose(place: Place): Promise<void> {
    const { worker } = place;
    place.worker = undefined;
    await worker?.disconnect();
    await place.asking;
  }

  private async kill(): Promise<void> {
    for (const place of this.places) place.worker = undefined;
    this.alice = await home.killAndRestart();
    for (const place of this.places) await place.asking;
    for (const [job, state] of this.answered) {
      expect((await this.alice.record(job)).state).toBe(state);
    }
  }

  /** Everybody is there, and ends what there is, until nothing is left. */
  private async finish(): Promise<void> {
    const ends = Promise.all(this.jobs.map((job) => this.alice.ended(job)));
    let isOver = false;
    const over = ends.then(() => {
      isOver = true;
    });
    while (!isOver) {
      for (const job of this.jobs) {
        // Attempts that went wrong again and again are followed by pauses of up to a minute.
        const isPaused = (await this.alice.record(job)).state === "waiting";
        if (isPaused) await JobRecords.cancel(this.alice.submission, job, "");
      }
      for (const place of this.places) {
        await this.connect(place);
        await this.end(place, [...place.held]);
        if (!isOver) await this.ask(place);
      }
    }
    await over;
    for (const place of this.places) await this.end(place, [...place.held]);
  }

  private async check(): Promise<void> {
    for (const job of this.jobs) {
      const { attempts, output, state } = await this.alice.record(job);
      expect(attempts.map(({ attempt }) => attempt)).toEqual(attempts.map((_, index) => index + 1));
      const last = attempts.at(-1);
      for (const { outcome } of attempts.slice(0, -1)) {
        expect(["evicted", "lost", "crashed"]).toContain(outcome);
      }
      if (state === "cancelled") continue;
      expect([state, last?.outcome, output]).toEqual(["succeeded", "succeeded", "bulk"]);
      expect(this.told.get(`${job}/${last!.attempt}`)).toBe("succeeded");
    }
    await expect.poll(() => home.network.show()).not.toMatch(/\([1-9]\d* running\)/);
  }
}

it.each(Array.from({ length: SEEDS }, (_, index) => index + 1))(
  "whatever happens, each job gets one end, and it is the one that was answered (history %i)",
  async (seed) => {
    await home.start({ settings: { lease: 1000, poisonAfter: 1000 } });
    await new History(await home.network.client("alice"), seed).run();
  },
);
