/**
 * A pool that is as slow and obvious as can be: every queue is a list that is sorted when someone
 * looks. It follows the rules of `test/golden/pool/README.md` one by one and is told everything as
 * a trace is: an operation and its words in, lines out. All names and numbers must be valid.
 */
import {
  byName,
  inOrder,
  isAble,
  isActive,
  type Job,
  type Pop,
  type Worker,
} from "./model-state.js";
import { show, showCached } from "./model-text.js";

export class ModelPool {
  now = 1;
  mode: "backlog" | "ready" = "backlog";
  line: Pop[] = [];
  private marked: Pop[] = [];
  private pops: Pop[] = [];
  private jobs: Job[] = [];
  private submitted = 0;
  readonly workers: Worker[] = [];
  readonly clients = new Map<string, { nextStart: number }>();
  readonly variables = new Map<string, Pop>();
  readonly tickets = new Map<string, Job>();

  /** What is in the database. */
  readonly known = new Map<string, { paused: boolean }>();
  held: { hint: string; worker: string }[] = [];
  private readonly rates = new Map<string, number>();

  run(operation: string, words: readonly string[]): string[] {
    const [first = "", second = "", third = ""] = words;
    const option = (name: string) =>
      words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
    switch (operation) {
      case "reopen":
        return this.reopen();
      case "register":
        return this.register(first, Number(second)) ? [] : ["name taken"];
      case "set-active":
        this.setActive(this.worker(first), second === "true", third);
        return [];
      case "with-worker":
        this.withWorker(first, second === "true", third);
        return [];
      case "shutdown":
        this.setActive(this.worker(first), false, "shutdown");
        return [];
      case "release":
        this.release(this.worker(first));
        return [];
      case "learn":
        this.learn(this.worker(first), words.slice(1));
        return [];
      case "forget":
        return [this.forget(first)];
      case "known-workers":
        return this.knownWorkers();
      case "client":
        if (!this.clients.has(first)) this.clients.set(first, { nextStart: this.now });
        return [];
      case "remove-client":
        this.clients.delete(first);
        this.rates.delete(first);
        return [];
      case "set-rate":
        this.rates.set(first, Number(second));
        return [];
      case "submit": {
        const avoids = option("avoid")?.split(",") ?? [];
        const needs = option("needs")?.split(",") ?? [];
        const urgent = words.includes("urgent");
        const job = this.submit(first, second, option("hint") ?? "", urgent, avoids, needs);
        const ticket = option("as");
        if (ticket !== undefined) this.tickets.set(ticket, job);
        return [];
      }
      case "cancel": {
        const job = this.tickets.get(second)!;
        if (job.place === null) return ["error"];
        job.place = null;
        return ["cancelled"];
      }
      case "pop":
        this.variables.set(option("as")!, this.pop(this.worker(first)));
        return [];
      case "state":
        return [this.variables.get(first)!.state];
      case "job-finished":
        this.worker(first).running--;
        return [];
      case "advance":
        this.now += Number(first);
        return [];
      case "settle":
        this.settle();
        return [];
      case "flush":
        return this.flush(this.worker(first));
      case "dump":
        return [...show(this), ...showCached(this)];
      case "show":
        return show(this);
      default:
        throw new Error(`the model has no operation ${operation}`);
    }
  }

  private reopen(): string[] {
    this.mode = "backlog";
    this.line = [];
    this.marked = [];
    this.pops = [];
    this.jobs = [];
    this.workers.length = 0;
    this.clients.clear();
    this.variables.clear();
    this.tickets.clear();
    return [];
  }

  worker(name: string): Worker {
    return this.workers.find((worker) => worker.name === name)!;
  }

  private register(name: string, capacity: number): boolean {
    if (this.worker(name)) return false;
    if (!this.known.has(name)) this.known.set(name, { paused: false });
    const reasons = new Set(this.known.get(name)!.paused ? ["worker", "admin-pause"] : ["worker"]);
    this.workers.push({ name, capacity, reasons, released: false, running: 0, abilities: null });
    return true;
  }

  private setActive(worker: Worker, active: boolean, reason: string): void {
    if (reason === "admin-pause") this.known.get(worker.name)!.paused = !active;
    const was = isActive(worker);
    if (active) {
      worker.reasons.delete(reason);
      if (!was && isActive(worker)) this.wakeIdle(worker);
    } else {
      worker.reasons.add(reason);
      if (was) this.becomeInactive(worker);
    }
  }

  private becomeInactive(worker: Worker): void {
    const leaving = this.queue(worker);
    for (const job of leaving) job.place = null;
    const toBacklog = this.mode === "backlog";
    for (const job of leaving) {
      if (toBacklog) job.place = job.avoids.length > 0 ? "aside" : "backlog";
      else this.place(job);
    }
    this.reconsider();
    this.mark(worker);
  }

  /** Whoever waits only for workers that are gone takes what there is. */
  private reconsider(): void {
    for (const job of this.queue("aside")) {
      const isAwaited = this.line.some(({ worker }) => isActive(worker) && isAble(worker, job));
      if (this.mode === "ready" && isAwaited && this.avoided(job).length === 0) this.place(job);
    }
  }

  private learn(worker: Worker, abilities: readonly string[]): void {
    worker.abilities = abilities;
    if (!isActive(worker)) return;
    for (const job of this.queue(worker)) if (!isAble(worker, job)) this.place(job);
    this.reconsider();
    this.mark(worker);
  }

  /** The last first. */
  private wakeIdle(worker: Worker): void {
    const idle = this.pops.filter((p) => p.worker === worker && p.waitsFor === "activity");
    for (const pop of idle.reverse()) this.restart(pop);
  }

  private withWorker(name: string, active: boolean, reason: string): void {
    const connected = this.worker(name);
    if (!connected) this.register(name, 0);
    this.setActive(this.worker(name), active, reason);
    if (!connected) this.release(this.worker(name));
  }

  private release(worker: Worker): void {
    this.setActive(worker, false, "worker");
    worker.released = true;
    this.workers.splice(this.workers.indexOf(worker), 1);
    this.wakeIdle(worker);
  }

  private forget(name: string): string {
    if (!this.known.has(name)) return "unknown worker";
    if (this.worker(name)) return "still connected";
    this.known.delete(name);
    return "ok";
  }

  private knownWorkers(): string[] {
    return [...this.known.keys()].sort(byName).map((name) => {
      const worker = this.worker(name);
      const active = worker ? isActive(worker) : !this.known.get(name)!.paused;
      return `${name} connected=${worker !== undefined} active=${active}`;
    });
  }

  rate(client: string): number {
    return this.rates.get(client) ?? 1;
  }

  holders(hint: string): string[] {
    const holding = this.held.filter((entry) => entry.hint === hint);
    return holding.map((entry) => entry.worker).sort(byName);
  }

  private hold(hint: string, worker: string): void {
    if (!this.holders(hint).includes(worker)) this.held.push({ hint, worker });
  }

  /** A queue's jobs in order. */
  queue(place: Exclude<Job["place"], null>): Job[] {
    return this.jobs.filter((job) => job.place === place).sort(inOrder);
  }

  work(worker: Worker): number {
    return this.queue(worker).reduce((sum, job) => sum + job.cost, 0);
  }

  private submit(
    client: string,
    name: string,
    hint: string,
    urgent: boolean,
    avoids: readonly string[],
    needs: readonly string[],
  ): Job {
    const pending = this.jobs.some((job) => job.place !== null && job.hint === hint);
    const cached = hint !== "" && (pending || this.holders(hint).length > 0);
    const state = this.clients.get(client)!;
    const start = Math.max(this.now, state.nextStart);
    state.nextStart = start + (cached ? 2 : 10) / this.rate(client);
    const order = this.submitted++;
    const about = { client, name, hint, urgent, avoids, needs };
    const job: Job = { ...about, start, order, place: null, cost: 0 };
    this.jobs.push(job);
    this.place(job);
    return job;
  }

  /** Whom a job avoids: nobody, if there is nobody else. */
  private avoided(job: Job): readonly string[] {
    const others = this.workers.filter(
      (worker) => !job.avoids.includes(worker.name) && isAble(worker, job),
    );
    return others.some(isActive) ? job.avoids : [];
  }

  /** Where a job waits that avoids no workers, the mode follows from: those that do are aside. */
  private place(job: Job): void {
    const isWary = job.avoids.length > 0;
    job.place = isWary ? "aside" : "backlog";
    if (this.mode === "ready" && this.line.length > 0 && this.give(job)) return;
    if (!isWary && this.line.length === 0) this.mode = "backlog";
  }

  /** Gives a job to a worker, while some wait for jobs. */
  private give(job: Job): boolean {
    const avoided = this.avoided(job);
    const preferred = this.preferred(job);
    if (preferred) {
      this.assign(job, preferred, 2);
      return true;
    }
    const suits = ({ worker }: Pop) => !avoided.includes(worker.name) && isAble(worker, job);
    const first = this.line.findIndex((pop) => suits(pop) && isActive(pop.worker));
    const { worker } = this.line[first] ?? {};
    const passed = first < 0 ? this.line.length : first + 1;
    this.line = this.line.filter((pop, i) => i >= passed || !suits(pop));
    if (!worker) return false;
    this.assign(job, worker, 10);
    this.hold(job.hint, worker.name);
    return true;
  }

  private assign(job: Job, worker: Worker, cost: number): void {
    job.place = worker;
    job.cost = cost;
    this.mark(worker);
  }

  private preferred(job: Job): Worker | undefined {
    if (job.hint === "") return undefined;
    return this.holders(job.hint)
      .map((name) => this.worker(name))
      .filter((worker) => worker && isActive(worker) && this.work(worker) <= 10)
      .filter((worker) => !this.avoided(job).includes(worker.name) && isAble(worker, job))
      .sort((a, b) => this.work(a) - this.work(b) || byName(b.name, a.name))[0];
  }

  private pop(worker: Worker): Pop {
    const pop: Pop = { worker, state: "pending", waitsFor: "nothing" };
    this.pops.push(pop);
    this.go(pop);
    return pop;
  }

  private go(pop: Pop): void {
    const { worker } = pop;
    pop.waitsFor = "nothing";
    for (;;) {
      if (worker.released) {
        pop.state = "finished";
        return;
      }
      if (!isActive(worker)) {
        pop.waitsFor = "activity";
        return;
      }
      const [own] = this.queue(worker);
      if (own) {
        this.take(pop, own);
        return;
      }
      const [waiting] = [
        ...this.queue("backlog"),
        ...this.queue("aside").filter((job) => !this.avoided(job).includes(worker.name)),
      ]
        .filter((job) => isAble(worker, job))
        .sort(inOrder);
      if (!waiting) {
        this.mode = "ready";
        this.line.push(pop);
        pop.waitsFor = "job";
        return;
      }
      const preferred = this.preferred(waiting);
      if (!preferred) {
        this.take(pop, waiting);
        return;
      }
      this.assign(waiting, preferred, 2);
    }
  }

  private take(pop: Pop, job: Job): void {
    job.place = null;
    this.hold(job.hint, pop.worker.name);
    pop.worker.running++;
    pop.state = job.name;
  }

  private mark(worker: Worker): void {
    for (const pop of this.pops.filter((p) => p.worker === worker && p.waitsFor === "job")) {
      pop.waitsFor = "settling";
      this.marked.push(pop);
    }
  }

  private settle(): void {
    for (let pop = this.marked.shift(); pop; pop = this.marked.shift()) {
      this.line = this.line.filter((other) => other !== pop);
      this.restart(pop);
    }
  }

  private restart(pop: Pop): void {
    // It joins the others anew, so it is the last of them now.
    this.pops = [...this.pops.filter((other) => other !== pop), pop];
    this.go(pop);
  }

  private flush(worker: Worker): string[] {
    const printed: string[] = [];
    for (;;) {
      const pop = this.pop(worker);
      this.settle();
      if (pop.state === "pending") {
        this.release(worker);
        return printed;
      }
      printed.push(`Flush ${pop.state}`);
    }
  }
}
