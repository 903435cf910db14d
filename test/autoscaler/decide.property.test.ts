/**
 * Whatever happens, the limits hold, nobody who is busy is stopped, and in the end there are as
 * many as are wanted.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { Scene } from "./scene.js";

/** Random input is the same each time. */
const RUNS = { seed: 20_261_130, numRuns: 300 } as const;

const event = fc.oneof(
  fc.record({ kind: fc.constant("want" as const), wanted: fc.nat(30) }),
  fc.record({ kind: fc.constant("wait" as const), seconds: fc.nat(400) }),
  fc.record({ kind: fc.constant("begin" as const), which: fc.nat() }),
  fc.record({ kind: fc.constant("connect" as const), which: fc.nat() }),
  fc.record({ kind: fc.constant("job" as const), which: fc.nat(), running: fc.nat(2) }),
  fc.record({ kind: fc.constant("lose" as const), which: fc.nat() }),
  fc.record({ kind: fc.constant("vanish" as const), which: fc.nat() }),
  fc.record({ kind: fc.constant("refuse" as const) }),
);

const limits = fc.record({
  min: fc.nat(3),
  max: fc.integer({ min: 3, max: 12 }),
  backlog: fc.integer({ min: 1, max: 6 }),
  perMinute: fc.integer({ min: 1, max: 6 }),
  coolDown: fc.nat(300),
});

/** One that some of the list is, if it has any. */
function pick<T>(list: readonly T[], which: number): T | undefined {
  return list.length > 0 ? list[which % list.length] : undefined;
}

class World {
  readonly scene: Scene;
  #launched = 0;
  readonly #launches: { readonly at: number; readonly count: number }[] = [];

  constructor(limitsOf: ConstructorParameters<typeof Scene>[0]) {
    this.scene = new Scene(limitsOf);
  }

  /** Decides, checks, and does what was decided. */
  look(): void {
    const { scene } = this;
    const { limits: bounds } = scene;
    const before = scene.history.instances(scene.now);
    const decision = scene.look();
    const listed = scene.instances.length;
    const there = scene.history.instances(scene.now);
    const waiting = there.filter(({ state }) => state === "pending" || state === "asked for");
    expect(before.length).toBeLessThanOrEqual(bounds.max);
    expect(listed).toBeLessThanOrEqual(bounds.max);
    if (decision.launch > 0) {
      expect(there.length + decision.launch).toBeLessThanOrEqual(bounds.max);
      expect(waiting.length + decision.launch).toBeLessThanOrEqual(bounds.backlog);
      const lately = this.#launches.filter(({ at }) => at > scene.now - 60);
      const count = lately.reduce((sum, each) => sum + each.count, 0);
      expect(count + decision.launch).toBeLessThanOrEqual(bounds.perMinute);
      this.#launches.push({ at: scene.now, count: decision.launch });
      const ids = Array.from({ length: decision.launch }, () => `i${this.#launched++}`);
      scene.launch(...ids);
    }
    const phases = new Map(scene.instances.map(({ id, phase }) => [id, phase]));
    for (const id of decision.cancel) {
      expect(phases.get(id)).toBe("pending");
      scene.history.calledOff(id);
    }
    scene.leave(...decision.cancel);
    for (const { id } of decision.stop) {
      const member = scene.members.find(({ name }) => name === `host-${id}`);
      expect(member?.connected ?? false).toBe(false);
      expect(member?.running ?? 0).toBe(0);
      scene.history.calledOff(id);
    }
    scene.leave(...decision.stop.map(({ id }) => id));
    for (const name of decision.drain) {
      const member = scene.members.find((each) => each.name === name)!;
      expect(member).toMatchObject({ connected: true, active: true });
      const id = name.replace("host-", "");
      if (member.running === 0) scene.leave(id);
      else scene.worker(id, member.running, { active: false });
    }
  }

  happen(what: typeof event extends fc.Arbitrary<infer E> ? E : never): void {
    const { scene } = this;
    const ids = scene.instances.map(({ id }) => id);
    switch (what.kind) {
      case "want":
        scene.wants(what.wanted);
        return;
      case "wait":
        scene.now += what.seconds;
        return;
      case "refuse":
        scene.history.launchFailed("no", scene.now);
        return;
      case "begin": {
        const id = pick(ids, what.which);
        if (id) scene.begin(id);
        return;
      }
      case "connect": {
        const id = pick(ids, what.which);
        if (id) scene.begin(id).worker(id);
        return;
      }
      case "job":
      case "lose": {
        const member = pick(scene.members, what.which);
        if (!member) return;
        const id = member.name.replace("host-", "");
        if (what.kind === "job") scene.worker(id, what.running, { active: member.active });
        else scene.worker(id, member.running, { connected: false, capacity: 0 });
        return;
      }
      case "vanish": {
        const id = pick(ids, what.which);
        if (id) scene.leave(id);
      }
    }
  }
}

it("keeps to its limits, and ends nobody who is busy", () => {
  fc.assert(
    fc.property(limits, fc.array(event, { maxLength: 60 }), (bounds, events) => {
      const world = new World(bounds);
      for (const what of events) {
        world.happen(what);
        world.look();
      }
    }),
    RUNS,
  );
});

it("comes to what is wanted, once the world behaves", () => {
  fc.assert(
    fc.property(
      limits,
      fc.array(event, { maxLength: 30 }),
      fc.nat(20),
      (bounds, events, wanted) => {
        const world = new World(bounds);
        const { scene } = world;
        for (const what of events) {
          world.happen(what);
          world.look();
        }
        scene.wants(wanted);
        for (let n = 0; n < 200; n++) {
          scene.now += 30;
          for (const { id } of scene.instances) scene.begin(id).worker(id);
          world.look();
        }
        const { max, min } = scene.limits;
        expect(scene.instances.length).toBe(Math.max(min, Math.min(max, wanted)));
      },
    ),
    RUNS,
  );
});
