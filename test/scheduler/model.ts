/**
 * A pool that is as slow and obvious as can be: every queue is a list that is sorted when someone looks.
 * It follows the rules of `test/golden/pool/README.md` one by one and is told everything as a trace is:
 * an operation and its words in, lines out. All names and numbers must be valid.
 */

interface Job {
  readonly client: string;
  readonly name: string;
  readonly hint: string;
  readonly urgent: boolean;
  readonly avoids: readonly string[];
  readonly start: number;
  readonly order: number;
  /** Where it is queued; null when it is not. */
  place: "backlog" | "aside" | Worker | null;
  cost: number;
}

interface Worker {
  readonly name: string;
  readonly capacity: number;
  readonly reasons: Set<string>;
  released: boolean;
  running: number;
}

interface Pop {
  readonly worker: Worker;
  /** `pending`, `finished` or a job's name. */
  state: string;
  waitsFor: "activity" | "job" | "settling" | "nothing";
}

const REASONS = [
  ["worker", "worker pause"],
  ["admin-pause", "admin pause"],
  ["shutdown", "shutting down"],
] as const;

const inOrder = (a: Job, b: Job) =>
  Number(b.urgent) - Number(a.urgent) || a.start - b.start || a.order - b.order;

const byName = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

export class ModelPool {
  private now = 1;
  private mode: "backlog" | "ready" = "backlog";
  private line: Pop[] = [];
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
  private held: { hint: string; worker: string }[] = [];
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
        const urgent = words.includes("urgent");
        const job = this.submit(first, second, option("hint") ?? "", urgent, avoids);
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
        return [...this.show(), ...this.showCached()];
      case "show":
        return this.show();
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

  private worker(name: string): Worker {
    return this.workers.find((worker) => worker.name === name)!;
  }

  private register(name: string, capacity: number): boolean {
    if (this.worker(name)) return false;
    if (!this.known.has(name)) this.known.set(name, { paused: false });
    const reasons = new Set(this.known.get(name)!.paused ? ["worker", "admin-pause"] : ["worker"]);
    this.workers.push({ name, capacity, reasons, released: false, running: 0 });
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
    // Whoever waits only for workers that are gone takes what there is.
    for (const job of this.queue("aside")) {
      if (this.mode === "ready" && this.line.length > 0 && this.avoided(job).length === 0) {
        this.place(job);
      }
    }
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

  private rate(client: string): number {
    return this.rates.get(client) ?? 1;
  }

  private holders(hint: string): string[] {
    const holding = this.held.filter((entry) => entry.hint === hint);
    return holding.map((entry) => entry.worker).sort(byName);
  }

  private hold(hint: string, worker: string): void {
    if (!this.holders(hint).includes(worker)) this.held.push({ hint, worker });
  }

  /** A queue's jobs in order. */
  private queue(place: Exclude<Job["place"], null>): Job[] {
    return this.jobs.filter((job) => job.place === place).sort(inOrder);
  }

  private work(worker: Worker): number {
    return this.queue(worker).reduce((sum, job) => sum + job.cost, 0);
  }

  private submit(
    client: string,
    name: string,
    hint: string,
    urgent: boolean,
    avoids: readonly string[],
  ): Job {
    const pending = this.jobs.some((job) => job.place !== null && job.hint === hint);
    const cached = hint !== "" && (pending || this.holders(hint).length > 0);
    const state = this.clients.get(client)!;
    const start = Math.max(this.now, state.nextStart);
    state.nextStart = start + (cached ? 2 : 10) / this.rate(client);
    const order = this.submitted++;
    const job: Job = { client, name, hint, urgent, avoids, start, order, place: null, cost: 0 };
    this.jobs.push(job);
    this.place(job);
    return job;
  }

  /** Whom a job avoids: nobody, if there is nobody else. */
  private avoided(job: Job): readonly string[] {
    const others = this.workers.filter(({ name }) => !job.avoids.includes(name));
    return others.some(isActive) ? job.avoids : [];
  }

  private place(job: Job): void {
    if (job.avoids.length > 0) {
      this.placeWary(job);
      return;
    }
    for (;;) {
      if (this.mode === "ready" && this.line.length === 0) this.mode = "backlog";
      if (this.mode === "backlog") {
        job.place = "backlog";
        return;
      }
      const preferred = this.preferred(job);
      if (preferred) {
        this.assign(job, preferred, 2);
        return;
      }
      const { worker } = this.line.shift()!;
      if (isActive(worker)) {
        this.assign(job, worker, 10);
        this.hold(job.hint, worker.name);
        return;
      }
    }
  }

  /** As others, but for the workers that it avoids; and the mode stays what it is. */
  private placeWary(job: Job): void {
    const avoided = this.avoided(job);
    job.place = "aside";
    if (this.mode === "backlog" || this.line.length === 0) return;
    const preferred = this.preferred(job);
    if (preferred) {
      this.assign(job, preferred, 2);
      return;
    }
    const suits = ({ worker }: Pop) => !avoided.includes(worker.name);
    const first = this.line.findIndex((pop) => suits(pop) && isActive(pop.worker));
    const { worker } = this.line[first] ?? {};
    const passed = first < 0 ? this.line.length : first + 1;
    this.line = this.line.filter((pop, i) => i >= passed || !suits(pop));
    if (!worker) return;
    this.assign(job, worker, 10);
    this.hold(job.hint, worker.name);
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
      .filter(({ name }) => !this.avoided(job).includes(name))
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
        ...(this.mode === "backlog" ? this.queue("backlog") : []),
        ...this.queue("aside").filter((job) => !this.avoided(job).includes(worker.name)),
      ].sort(inOrder);
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

  private show(): string[] {
    const disconnected = [...this.known].filter(([name]) => !this.worker(name));
    return [
      `capacity: ${whole(this.workers.reduce((sum, { capacity }) => sum + capacity, 0))}`,
      ...(this.mode === "backlog"
        ? this.showJobs("queue: (backlog) [", "backlog", "]")
        : this.showLine()),
      ...(this.queue("aside").length > 0 ? this.showJobs("aside: [", "aside", "]") : []),
      "registered:",
      ...[...this.workers]
        .sort((a, b) => byName(a.name, b.name))
        .flatMap((worker) => this.showWorker(worker)),
      "disconnected:",
      ...disconnected
        .sort(([a], [b]) => byName(a, b))
        .map(([name, { paused }]) => `  ${name}${paused ? " (paused)" : ""}`),
      ...this.showClients(),
    ];
  }

  private showJobs(before: string, place: "backlog" | "aside" | Worker, after: string): string[] {
    const jobs = this.queue(place)
      .reverse()
      .map((job) => {
        const text = `${job.client}:${job.name}@${duration(job.start - this.now)}`;
        if (typeof place === "string") return `${text}${job.urgent ? "+urgent" : ""}`;
        return `${text}(${job.cost}${job.urgent ? "+urgent" : ""})`;
      });
    const lines = fill(before, jobs, columns(before));
    return [...lines.slice(0, -1), `${lines.at(-1)}${after}`];
  }

  private showLine(): string[] {
    const names = this.line.map(({ worker }) => worker.name).reverse();
    if (names.length === 0) return ["queue: (ready) []"];
    return fill("queue: (ready) [", [...names.slice(0, -1), `${names.at(-1)}]`], "queue: ".length);
  }

  private showWorker(worker: Worker): string[] {
    const before = `  ${worker.name} (${this.work(worker)}): `;
    const after = ` (${worker.running} running)`;
    if (isActive(worker)) return this.showJobs(`${before}[`, worker, `]${after}`);
    const reasons = REASONS.filter(([reason]) => worker.reasons.has(reason));
    return [`${before}(inactive: ${reasons.map(([, words]) => words).join(", ")})${after}`];
  }

  private showClients(): string[] {
    const clients = [...this.clients]
      .sort(([a], [b]) => byName(a, b))
      .map(([id, { nextStart }]) => {
        const delay = nextStart - this.now;
        return `${id}(${whole(this.rate(id))})${delay > 0 ? `+${duration(delay)}` : ""}`;
      });
    return fill("clients: ", clients, "clients: ".length);
  }

  private showCached(): string[] {
    const hints = [...new Set(this.held.map(({ hint }) => hint))].sort(byName);
    const indent = "cached: ".length;
    const record = hints.map((hint) => `${hint}: [${this.holders(hint).join("; ")}]`).join(", ");
    const breakable = columns(`cached: ${record}`) > 77;
    const lines = ["cached: "];
    let long = false;
    for (const [i, hint] of hints.entries()) {
      const comma = i < hints.length - 1 ? "," : "";
      const all = `${hint}: [${this.holders(hint).join("; ")}]`;
      const line = lines.at(-1)!;
      if (i > 0 && (long || columns(`${line} ${all}${comma}`) > 77)) {
        lines.push(" ".repeat(indent));
      } else if (i > 0) {
        lines.push(`${lines.pop()} `);
      }
      let before = `${lines.pop()}${hint}: `;
      const holders = this.holders(hint).map(
        (name, j, { length }) => `${name}${j < length - 1 ? ";" : "]"}`,
      );
      const fits = columns(`${before}[${holders.join(" ")}`) <= 77;
      // No list begins beyond column 68 if anything has to be broken, and no name in a list that has to be.
      if (breakable && columns(before) > 68) {
        lines.push(before);
        before = " ".repeat(indent);
      }
      before += "[";
      const filled = fill(before, holders, columns(before), fits ? 77 : 68);
      long = filled.length > 1;
      lines.push(...filled.slice(0, -1), `${filled.at(-1)}${comma}`);
    }
    return lines;
  }
}

function isActive(worker: Worker): boolean {
  return worker.reasons.size === 0;
}

/** The elements behind what is before them, on lines of at most 77 columns: bytes, as the reference counts. */
function fill(
  before: string,
  elements: readonly string[],
  indent: number,
  farthest = 77,
): string[] {
  const lines = [`${before}${elements[0] ?? ""}`];
  for (const element of elements.slice(1)) {
    const line = lines.at(-1)!;
    if (columns(`${line} ${element}`) <= 77 && columns(line) + 1 <= farthest)
      lines[lines.length - 1] = `${line} ${element}`;
    else lines.push(`${" ".repeat(indent)}${element}`);
  }
  return lines;
}

function columns(text: string): number {
  return Buffer.byteLength(text);
}

/** Rounded, halves to the even number; for numbers of usual size. */
function whole(x: number): string {
  const rounded = Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);
  return Object.is(rounded, -0) ? "-0" : String(rounded);
}

function duration(seconds: number): string {
  return seconds < 120 ? `${whole(seconds)}s` : `${whole(seconds / 60)}m`;
}
