/** A group in a pool, with a clock to be set by hand: what is decided, look by look. */
import {
  type Decision,
  type Demand,
  decide,
  History,
  type Instance,
  type Limits,
  type Member,
  type View,
} from "../../src/autoscaler/decision/index.js";

export const LIMITS: Limits = {
  min: 0,
  max: 20,
  backlog: 10,
  perMinute: 30,
  coolDown: 300,
  startTimeout: 600,
  goneTimeout: 600,
};

export class Scene {
  readonly history = new History();
  readonly limits: Limits;
  now = 1000;
  demand: Demand = { wanted: 0, capacity: 1, target: 300, running: 0, queued: 0, seconds: 0 };
  instances: Instance[] = [];
  members: Member[] = [];
  departed: string[] = [];
  elsewhere: View["elsewhere"] = { all: 0, before: 0, strangers: 0 };
  can: View["can"] = { cancel: true, stop: true };

  constructor(limits: Partial<Limits> = {}) {
    this.limits = { ...LIMITS, ...limits };
  }

  wants(wanted: number, more: Partial<Demand> = {}): this {
    this.demand = { ...this.demand, wanted, ...more };
    return this;
  }

  /** Decides, so many seconds later. */
  look(seconds = 0): Decision {
    this.now += seconds;
    const { can, demand, departed, elsewhere, history, instances, limits, members, now } = this;
    const view = { can, demand, departed, elsewhere, instances, members };
    return decide(view, history, limits, now);
  }

  /** Has an engine accept what a decision asks for. */
  launch(...ids: string[]): this {
    this.history.launched(ids, this.now);
    for (const id of ids) this.instances.push({ id, phase: "pending" });
    return this;
  }

  /** Instances run. */
  begin(...ids: string[]): this {
    this.instances = this.instances.map((each) =>
      ids.includes(each.id) ? { ...each, phase: "running" } : each,
    );
    return this;
  }

  /** A worker of an instance connects, or goes on with so many jobs. */
  worker(id: string, running = 0, more: Partial<Member> = {}): this {
    const name = `host-${id}`;
    this.members = this.members.filter((each) => each.name !== name);
    this.members.push({ name, connected: true, active: true, capacity: 1, running, ...more });
    return this;
  }

  /** A worker and its instance are gone, and forgotten. */
  leave(...ids: string[]): this {
    this.instances = this.instances.filter(({ id }) => !ids.includes(id));
    this.members = this.members.filter(({ name }) => !ids.some((id) => name === `host-${id}`));
    return this;
  }
}
