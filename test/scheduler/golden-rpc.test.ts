/**
 * Connections of the reference's programs, recorded byte for byte, replayed into our scheduler: a
 * worker and a client that know nothing of us get a job done, and administrators are answered as
 * they were.
 */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Connection, Identity, memoryTransportPair, SturdyRef } from "../../src/rpc/index.js";
import { DEFAULT_CLIENT_LIMITS } from "../../src/scheduler/services/client-limits.js";
import { Scheduler } from "../../src/scheduler/services/scheduler.js";
import { Store } from "../../src/scheduler/state/store.js";
import { describeStream, messages } from "../rpc/support/describe.js";
import { golden } from "../support/golden.js";
import { silentLog } from "./network.js";

/** A message of a recording. */
interface Step {
  readonly bytes: Uint8Array;
  readonly line: string;
  /** Of a Return: which call it answers, such as the third to `0xca66fd1f972efccc.0`. */
  readonly answers?: { readonly method: string; readonly index: number } | undefined;
}

/**
 * A program of the reference, played from its recording. Each message is sent when what it answers
 * or refers to has been heard. Which free number a question gets is our choice: returns are given
 * the numbers of the questions that they answer.
 */
class Replay {
  readonly heard: string[] = [];
  readonly bytes: Uint8Array[] = [];
  readonly connection: Connection;
  readonly done: Promise<void>;
  private readonly steps: Step[];
  private resolveDone!: () => void;
  private readonly transport;

  /** @param id what the recorded program has to ask for here, in place of what it did ask for. */
  constructor(name: string, id: Uint8Array, scheduler: Scheduler) {
    const recorded = messages(readFileSync(golden(`rpc/${name}.to-server.bin`)));
    recorded[0] = withObjectId(recorded[0]!, id);
    const calls = callsIn(describeStream(readFileSync(golden(`rpc/${name}.to-client.bin`))));
    this.steps = recorded.map((bytes) => {
      const line = describeStream(bytes)[0]!;
      const [kind, question] = line.split(" ");
      if (kind !== "return") return { bytes, line };
      const at = calls.findIndex((call) => call.question === question);
      return { bytes, line, answers: calls.splice(at, 1)[0] };
    });
    const [ours, theirs] = memoryTransportPair();
    this.transport = theirs;
    this.done = new Promise((resolve) => {
      this.resolveDone = resolve;
    });
    this.connection = new Connection(ours, {
      bootstrap: (objectId, connection) => scheduler.restore(objectId, connection),
    });
    theirs.start({
      onData: (chunk) => {
        this.bytes.push(chunk.slice());
        this.heard.push(...describeStream(chunk));
        this.sendMore();
      },
      onDrain() {},
      onClose: () => this.resolveDone(),
    });
    this.sendMore();
  }

  /** The program ends. */
  hangUp(): void {
    this.transport.close();
  }

  private sendMore(): void {
    while (this.steps.length > 0 && this.isDue(this.steps[0]!)) {
      const step = this.steps.shift()!;
      const bytes = step.answers ? withAnswerId(step.bytes, this.questionOf(step)!) : step.bytes;
      this.heard.push(`> ${step.line}`);
      this.transport.write([bytes]);
    }
    if (this.steps.length === 0) this.resolveDone();
  }

  private isDue(step: Step): boolean {
    const [kind, id, target] = step.line.split(" ");
    switch (kind) {
      case "return":
        return this.questionOf(step) !== undefined;
      case "finish":
        return this.count(`return ${id} `) > this.count(`> finish ${id}`);
      case "release":
        return this.hasExport(id!);
      case "call":
        return !target!.startsWith("export:") || this.hasExport(target!.slice("export:".length));
      default:
        return true;
    }
  }

  /** The number here of the call that the Return is for, if that has been heard. */
  private questionOf({ answers }: Step): number | undefined {
    const call = callsIn(this.heard).find(
      ({ method, index }) => method === answers?.method && index === answers.index,
    );
    return call && Number(call.question);
  }

  private count(start: string): number {
    return this.heard.filter((line) => `${line} `.startsWith(start)).length;
  }

  private hasExport(id: string): boolean {
    const mention = new RegExp(`^[^>].*\\b(sender|promise):${id}\\b`);
    return this.heard.some((line) => mention.test(line));
  }
}

/** The calls in a described stream, with their place among the calls to the same method. */
function callsIn(lines: readonly string[]) {
  const seen = new Map<string, number>();
  return lines.flatMap((line) => {
    const [kind, question, , method] = line.split(" ");
    if (kind !== "call") return [];
    const index = seen.get(method!) ?? 0;
    seen.set(method!, index + 1);
    return [{ question: question!, method: method!, index }];
  });
}

/**
 * The Return message as one to another question: its number is the first field of the message's
 * body.
 */
function withAnswerId(message: Uint8Array, question: number): Uint8Array {
  const changed = new Uint8Array(message);
  const view = new DataView(changed.buffer);
  /** Where the struct is that the pointer at `at` points to. */
  const follow = (at: number) => at + 8 + (view.getInt32(at, true) >> 2) * 8;
  const root = follow(8);
  const body = follow(root + view.getUint16(12, true) * 8);
  view.setUint32(body, question, true);
  return changed;
}

/**
 * The Bootstrap message with another id of the same length: the id is a text, and so the last thing
 * in the message.
 */
function withObjectId(message: Uint8Array, id: Uint8Array): Uint8Array {
  const changed = new Uint8Array(message);
  const padded = Math.ceil((id.length + 1) / 8) * 8;
  changed.set(id, changed.length - padded);
  return changed;
}

/** Texts of printable characters in what was heard. */
function texts(bytes: readonly Uint8Array[]): string {
  return Buffer.concat(bytes).toString("latin1");
}

let scheduler: Scheduler;
let store: Store;
let identity: Identity;
let replays: Replay[];

beforeEach(() => {
  identity = Identity.ephemeral();
  store = Store.open(":memory:");
  replays = [];
  scheduler = new Scheduler({
    pools: ["linux-arm32", "linux-x86_64"],
    store,
    derivedId: (name) => identity.derivedId(name),
    sturdyRef: (id) => new SturdyRef({ kind: "tcp", host: "127.0.0.1", port: 9556 }, undefined, id),
    clientLimits: DEFAULT_CLIENT_LIMITS,
    liveness: { intervalMs: 1_000_000, timeoutMs: 1_000_000 },
    events: { started: () => {}, finished: () => {} },
    log: silentLog(),
  });
});

afterEach(() => {
  for (const { connection } of replays) connection.close();
  store.close();
});

function replay(name: string, id: Uint8Array): Replay {
  const made = new Replay(name, id, scheduler);
  replays.push(made);
  return made;
}

it("an administrator asks for a pool's state", async () => {
  const admin = replay("admin-show-pool", identity.derivedId("admin"));
  await admin.done;
  expect(texts(admin.bytes)).toContain("capacity: 0\nqueue: (backlog) []\n");
  expect(admin.connection.error).toBeUndefined();
});

it("an administrator adds a client and saves its capability; the second time it is refused", async () => {
  const first = replay("admin-add-client", identity.derivedId("admin"));
  await first.done;
  expect(texts(first.bytes)).toMatch(/capnp:\/\/insecure@127\.0\.0\.1:9556\/[\w-]{27}\0/);
  expect(first.connection.error).toBeUndefined();
  expect(scheduler.isClient("zoe")).toBe(true);
  const again = replay("admin-add-client-again", identity.derivedId("admin"));
  await again.done;
  expect(again.heard).toContain('return 1 failed: Client "zoe" already registered!');
  expect(again.connection.error).toBeUndefined();
});

it("a client's Docker job is built by a worker", async () => {
  const { id: secret } = await scheduler.addClient("bob");
  const worker = replay("worker-one-job", identity.derivedId("pool-linux-x86_64"));
  const client = replay("client-submit-docker", secret);
  await client.done;
  await worker.done;
  expect(worker.connection.error).toBeUndefined();
  expect(client.connection.error).toBeUndefined();
  // The log went through, and nothing was lost of it.
  const log = texts([readFileSync(golden("rpc/client-submit-docker.to-client.bin"))]);
  for (const line of log.match(/^[ -~]{12,}$/gm)!) expect(texts(client.bytes)).toContain(line);
  expect(client.heard.filter((line) => /^(abort|unimplemented|message)/.test(line))).toEqual([]);
  expect(worker.heard.filter((line) => /^(abort|unimplemented|message)/.test(line))).toEqual([]);
  client.hangUp();
  await client.connection.closed;
  expect(client.connection.stats()).toMatchObject({ exports: 0, imports: 0, answers: 0 });
});
