/**
 * A scheduler of durable jobs that does what a test says, on a real vat, over TLS on loopback.
 * Workers reach it by a line that can be cut.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { Message, Text } from "capnp-es";
import { Custom } from "../../src/api/generated/ocluster.js";
import {
  DurableJob,
  DurableQueue,
  Job,
  type JobDescr,
  Queue,
  Registration,
  Submission,
} from "../../src/api/index.js";
import { deferred } from "../../src/async/index.js";
import {
  type Caller,
  type Capability,
  type DetachedPointer,
  RpcError,
  SturdyRef,
  Vat,
  writeCapFile,
} from "../../src/rpc/index.js";

export const BOOK = Buffer.from("00112233445566778899aabbccddeeff", "hex");

/** What a worker says of an attempt that it has from before. */
export interface Told {
  readonly job: number;
  readonly attempt: number;
  readonly state: DurableQueue.HeldAttempt["state"];
}

/** What is given to a worker; without `job` it is an attached one. */
interface Order extends Partial<DurableQueue.DurableAssignment> {
  readonly text: string;
  readonly action?: JobDescr["action"];
}

interface Pop {
  give(popped: DurableQueue.Popped): void;
  refuse(error: RpcError): void;
  readonly run: Capability;
}

export class DurableScheduler {
  /** What workers have said at each registration, in order. */
  readonly told: Told[][] = [];
  /** The verdict on an attempt that a worker still has. */
  verdict: (told: Told) => DurableQueue.Verdict | Promise<DurableQueue.Verdict> = () => "goOn";
  /** Which methods it has. */
  isOld = false;
  /** By `job-attempt`: how the scheduler reaches what came back. */
  readonly resumed = new Map<string, Capability>();
  /** How often it was asked for a job. */
  asks = 0;
  private readonly pops: Pop[] = [];
  private happened = deferred();
  private readonly owned: Capability[] = [];
  private readonly vat: Vat;
  private line!: Server;
  private readonly sockets = new Set<Socket>();
  private ref!: SturdyRef;

  private constructor() {
    const registration = Registration.local({ register: ({ worker }) => this.register(worker) });
    this.owned.push(registration);
    this.vat = new Vat({ restore: () => registration.dup() });
  }

  static async start(): Promise<DurableScheduler> {
    const scheduler = new DurableScheduler();
    const { vat } = scheduler;
    const listener = await vat.listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, { tls: true });
    const { address } = listener;
    if (address.kind !== "tcp") throw new Error("it listens on TCP");
    scheduler.line = createServer((near) => {
      const far = connect({ port: address.port, host: "127.0.0.1" });
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        scheduler.sockets.add(from);
        from.pipe(to);
        from.on("error", () => {});
        from.on("close", () => {
          scheduler.sockets.delete(from);
          to.destroy();
        });
      }
    });
    await scheduler.answerPhone(0);
    scheduler.ref = vat.sturdyRef(listener, vat.identity.derivedId("pool"));
    return scheduler;
  }

  async stop(): Promise<void> {
    for (const capability of [...this.owned, ...this.resumed.values()]) capability.release();
    this.cut();
    this.line.close();
    await this.vat.close();
  }

  writeCap(path: string): void {
    const { port } = this.line.address() as AddressInfo;
    const direct = this.ref.format();
    writeCapFile(path, SturdyRef.parse(direct.replace(/@127\.0\.0\.1:\d+/, `@127.0.0.1:${port}`)));
  }

  /** Ends the connections there are; new ones can be made. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
    for (const { refuse, run } of this.pops.splice(0)) {
      run.release();
      refuse(new RpcError("disconnected", "The line was cut"));
    }
  }

  /** Ends the connections there are, and takes no new ones; the result lets them in again. */
  async goAway(): Promise<() => Promise<void>> {
    const { port } = this.line.address() as AddressInfo;
    this.cut();
    this.line.close();
    await once(this.line, "close");
    return () => this.answerPhone(port);
  }

  /**
   * Gives a job to the worker that has asked first, or asks next. The result is its `Job`, released
   * at the end.
   */
  async give({ text, action, ...assignment }: Order): Promise<Capability> {
    const descr = await description(text, action);
    const pop = await this.nextPop();
    pop.give({
      descr,
      owner: { client: "alice", number: assignment.job ?? 41 },
      assignment:
        assignment.job === undefined
          ? null
          : {
              job: assignment.job,
              attempt: 1,
              timeout: 0,
              reattach: 600,
              book: BOOK,
              ...assignment,
            },
    });
    this.owned.push(pop.run);
    return pop.run;
  }

  /** Waits until a worker registers, asks for a job, or has been told about one that it has. */
  event(): Promise<void> {
    return this.happened.promise;
  }

  /** Waits until a worker asks for a job. */
  async asked(): Promise<void> {
    while (this.pops.length === 0) await this.event();
  }

  /** Waits for what came back as that attempt. */
  async back(key: string): Promise<Capability> {
    while (!this.resumed.has(key)) await this.event();
    return this.resumed.get(key)!;
  }

  private async answerPhone(port: number): Promise<void> {
    this.line.listen(port, "127.0.0.1");
    await once(this.line, "listening");
  }

  private async nextPop(): Promise<Pop> {
    await this.asked();
    return this.pops.shift()!;
  }

  private changed(): void {
    this.happened.resolve();
    this.happened = deferred();
  }

  private register(worker: Capability): Capability {
    const told: Told[] = [];
    this.told.push(told);
    this.changed();
    this.owned.push(worker);
    const waiting = (run: Capability, { signal }: Caller): Promise<DurableQueue.Popped> =>
      new Promise((give, refuse) => {
        const pop = { give, refuse, run };
        this.pops.push(pop);
        this.asks++;
        this.changed();
        signal.addEventListener("abort", () => {
          const at = this.pops.indexOf(pop);
          if (at < 0) return;
          this.pops.splice(at, 1);
          run.release();
          refuse(new RpcError("failed", "withdrawn"));
        });
      });
    const service: DurableQueue.DurableQueueService = {
      resume: async ({ book, run, ...held }) => {
        if (!BOOK.equals(book)) throw new RpcError("failed", "of another book");
        told.push(held);
        const key = `${held.job}-${held.attempt}`;
        this.resumed.get(key)?.release();
        if (run) this.resumed.set(key, run);
        else this.resumed.delete(key);
        const verdict = await this.verdict(held);
        this.changed();
        return verdict;
      },
      popDurable: waiting,
    };
    return Queue.local(
      {
        pop: async (run, caller) => (await waiting(run, caller)).descr,
        setActive: () => {},
        release: () => {},
      },
      this.isOld ? [] : DurableQueue.durableQueueMethods(service),
    );
  }
}

/** All of an attempt's log from byte `start` on, waiting for its end. */
export async function logOf(job: Capability, start = 0): Promise<string> {
  let text = "";
  for (let from = start; ; ) {
    const { data, next } = await Job.log(job, from);
    if (data.length === 0) return text;
    text += Buffer.from(data).toString();
    from = next;
  }
}

/** Waits for the end and says that it is on disk, as schedulers do. */
export async function settle(job: Capability): Promise<DurableJob.AttemptOutcome> {
  const outcome = await DurableJob.outcome(job);
  await DurableJob.settled(job);
  return outcome;
}

/** A description of a custom job, or of what is given, as a scheduler has it. */
function description(text: string, action?: JobDescr["action"]): Promise<DetachedPointer> {
  const root = new Message().initRoot(Custom);
  Text.fromPointer(root.payload).set(0, text);
  return new Promise((resolve) => {
    using submission = Submission.local({
      submit: ({ descr }) => {
        resolve(descr);
        throw new RpcError("failed", "Kept");
      },
      save: () => null as never,
    });
    const descr = {
      action: action ?? { kind: "custom", name: "test", payload: root.payload },
      cacheHint: "",
      secrets: [],
    } as const;
    const ticket = Submission.submit(submission, { pool: "pool", urgent: false, descr });
    ticket.release();
  });
}
