/**
 * How workers get durable jobs, and keep them over a lost connection: what our schedulers' `Queue`s
 * offer beyond the shared contract. Others answer "unimplemented".
 */
import {
  type Caller,
  type Capability,
  type DetachedPointer,
  type MethodEntry,
  method,
} from "../rpc/index.js";
import { type CallOptions, optionalCapability, requiredCapability, resultOf } from "./calls.js";
import {
  Assignment_Which,
  DurableQueue$Client,
  type Assignment as WireAssignment,
  HeldState as WireHeldState,
  Verdict as WireVerdict,
} from "./generated/extensions.js";
import { type OutputOrder, readOutputOrder, writeOutputOrder } from "./output-order.js";

const [RESUME, POP] = DurableQueue$Client.methods;

/** An attempt at a durable job, as it is given to a worker. */
export interface DurableAssignment {
  readonly job: number;
  /** 1, 2, …: tells the attempts at one job apart. */
  readonly attempt: number;
  /** Seconds that it may run; 0: any time. */
  readonly timeout: number;
  /** Seconds for which it goes on without a scheduler. */
  readonly reattach: number;
  /** The records that the numbers are of. */
  readonly book: Uint8Array;
  /** Which files of its result are to be handed over, and how many bytes they may have together. */
  readonly outputs?: OutputOrder | undefined;
  readonly outputLimit?: number;
}

/** Whose job it is, for the worker's log. */
export interface JobOwner {
  readonly client: string;
  /** 0 if it has none. */
  readonly number: number;
}

export interface Popped {
  /** A `JobDescr`. */
  readonly descr: DetachedPointer;
  /** Null: the scheduler does not tell. */
  readonly owner: JobOwner | null;
  /** Null: the job belongs to its client's connection, as all jobs of `Queue.pop` do. */
  readonly assignment: DurableAssignment | null;
}

/** An attempt that a worker has from an earlier connection. */
export interface HeldAttempt {
  readonly book: Uint8Array;
  readonly job: number;
  readonly attempt: number;
  /** "crashed": the process that ran it is gone. */
  readonly state: "running" | "ended" | "crashed";
  /** Its `Job`, taken; null if it has crashed. */
  readonly run: Capability | null;
}

/**
 * "goOn": the scheduler reads its log and outcome. "stop": it was given up, and is to be stopped
 * and forgotten.
 */
export type Verdict = "goOn" | "stop";

export interface DurableQueueService {
  /** Takes `held.run`. Resolves when what follows is on disk. */
  resume(held: HeldAttempt): Promise<Verdict>;
  /** As `QueueService.pop`. `descr` is released when it has been sent. */
  popDurable(job: Capability, caller: Caller): Promise<Popped>;
}

/** The methods of a `Queue` that make it a `DurableQueue`, too. */
export function durableQueueMethods(service: DurableQueueService): MethodEntry[] {
  return [
    method(RESUME, async (call) => {
      const { attempt, book, job, state } = call.params;
      const run = optionalCapability(call, 1) ?? null;
      const verdict = await service.resume({
        book: book.toUint8Array().slice(),
        job: Number(job),
        attempt,
        state: run === null ? "crashed" : state === WireHeldState.ENDED ? "ended" : "running",
        run,
      });
      call.results().verdict = verdict === "goOn" ? WireVerdict.GO_ON : WireVerdict.STOP;
    }),
    method(POP, async (call) => {
      const job = requiredCapability(call, 0, "Missing job!");
      const { assignment, descr, owner } = await service.popDurable(job, call);
      try {
        const results = call.results();
        call.setPointer(0, descr);
        const wire = results._initAssignment();
        wire.client = owner?.client ?? "";
        wire.number = BigInt(owner?.number ?? 0);
        writeAssignment(wire, assignment);
      } finally {
        descr.release();
      }
    }),
  ];
}

/** Says that the worker has an attempt from an earlier connection; takes `held.run`. */
export function resume(
  queue: Capability,
  held: HeldAttempt,
  options?: CallOptions,
): Promise<Verdict> {
  const call = queue.call(
    RESUME,
    (params, payload) => {
      params._initBook(held.book.length).copyBuffer(held.book);
      params.job = BigInt(held.job);
      params.attempt = held.attempt;
      params.state = HELD_STATES[held.state];
      if (held.run) payload.setCapability(1, held.run);
    },
    options,
  );
  // What a later version may add is not known to be a reason to stop.
  return resultOf(call, ({ verdict }) => (verdict === WireVerdict.STOP ? "stop" : "goOn"));
}

const HELD_STATES = {
  running: WireHeldState.RUNNING,
  ended: WireHeldState.ENDED,
  crashed: WireHeldState.CRASHED,
};

/**
 * As `Queue.pop`, for durable jobs, too. Rejects as "unimplemented" where there are none; `job` is
 * released then.
 */
export async function pop(
  queue: Capability,
  job: Capability,
  options?: CallOptions,
): Promise<Popped> {
  const call = queue.call(POP, (_, payload) => payload.setCapability(0, job), options);
  try {
    const response = await call.response;
    const wire = response.results.assignment;
    const assignment = readAssignment(wire);
    const { client } = wire;
    const owner = client === "" ? null : { client, number: Number(wire.number) };
    return { descr: response.detach(0), owner, assignment };
  } finally {
    call.cancel();
  }
}

function writeAssignment(wire: WireAssignment, assignment: DurableAssignment | null): void {
  if (!assignment) {
    wire.attached = true;
    return;
  }
  const durable = wire._initDurable();
  durable.job = BigInt(assignment.job);
  durable.attempt = assignment.attempt;
  durable.timeout = assignment.timeout;
  durable.reattach = assignment.reattach;
  durable._initBook(assignment.book.length).copyBuffer(assignment.book);
  writeOutputOrder(durable, assignment.outputs);
  durable.outputLimit = BigInt(assignment.outputLimit ?? 0);
}

function readAssignment(wire: WireAssignment): DurableAssignment | null {
  if (wire.which() !== Assignment_Which.DURABLE) return null;
  const { durable } = wire;
  const { attempt, book, job, reattach, timeout } = durable;
  return {
    job: Number(job),
    attempt,
    timeout,
    reattach,
    book: book.toUint8Array().slice(),
    outputs: readOutputOrder(durable),
    outputLimit: Number(durable.outputLimit),
  };
}
