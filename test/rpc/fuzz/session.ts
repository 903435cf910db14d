/**
 * A conversation that uses all of the protocol, recorded: what each side was sent. Either side can
 * be played again on its own, against messages that are no longer what they were.
 */
import {
  type Capability,
  Connection,
  method,
  type PendingCall,
  promiseCapability,
  RpcError,
  type ServerCall,
  serve,
  type Transport,
} from "../../../src/rpc/index.js";
import { Box, echo, fail, get, put, wait } from "../support/box.js";
import { messages } from "../support/describe.js";

/** Objects that are alive: all must be gone when a connection is. */
export class Census {
  alive = 0;

  object(methods: Parameters<typeof serve>[1]): Capability {
    this.alive++;
    return serve("object", methods, {
      release: () => {
        this.alive--;
      },
    });
  }
}

/** One side of the conversation. */
export class Party {
  readonly census = new Census();
  private readonly held: Capability[] = [];
  private readonly pending: PendingCall<Box>[] = [];
  private readonly promises: ((capability: Capability) => void)[] = [];

  /** An object that gives, takes, calls back, forwards, promises and fails. */
  readonly service = (): Capability =>
    this.census.object([
      method(echo, (call) => {
        call.results().text = call.params.text;
        call.results().number = call.params.number;
        call.setPointer(1, call.detach(1));
      }),
      method(get, (call) => this.give(call)),
      method(put, (call) => {
        using given = call.capability(Box.CAP);
        if (call.params.number === 1) call.forward(given);
        else if (call.params.number === 2) call.tailCall(given, get);
        else this.remember(given.call(echo, (params) => params.text === "called back"));
        const resolve = this.promises.shift();
        if (resolve !== undefined) resolve(given.dup());
      }),
      method(wait, async (call) => {
        await Promise.resolve();
        call.results().number = 5;
        call.setCapability(Box.CAP, this.service());
      }),
      method(fail, (call) => {
        throw new RpcError("overloaded", call.params.text);
      }),
    ]);

  /** An object that does not pass anything on. */
  private readonly leaf = (): Capability =>
    this.census.object([
      method(echo, (call) => {
        call.results().text = call.params.text;
      }),
      method(get, (call) => call.setCapability(Box.CAP, this.leaf())),
      method(put, (call) => {
        this.hold(call.capability(Box.CAP));
      }),
    ]);

  private give(call: ServerCall<Box, Box>): void {
    if (call.params.number === 0) {
      call.setCapability(Box.CAP, this.service());
    } else {
      const { capability, resolve } = promiseCapability();
      this.promises.push(resolve);
      call.setCapability(Box.CAP, capability);
    }
  }

  private remember(call: PendingCall<Box>): PendingCall<Box> {
    this.pending.push(call);
    return call;
  }

  private hold(capability: Capability): Capability {
    this.held.push(capability);
    return capability;
  }

  /** What the side that asks does: all at once, so that it depends on no answer. */
  ask(connection: Connection): void {
    const root = this.hold(connection.bootstrap(Buffer.from("an object id of some length")));
    const call = (
      target: Capability,
      what = echo,
      number = 0,
      ...given: Capability[]
    ): PendingCall<Box> =>
      this.remember(
        target.call(what, (params, payload) => {
          params.number = number;
          params.text = "some text that is longer than a word";
          params.initData(100).set(99, 1);
          for (const [i, capability] of given.entries()) {
            payload.setCapability(Box.CAP + i, capability);
          }
        }),
      );
    const own = this.hold(this.leaf());
    call(root);
    call(root, put, 0, own.dup());
    const child = this.hold(call(root, get, 0).capability(Box.CAP));
    call(child);
    call(child, put, 1, own.dup(), child.dup());
    const promise = this.hold(call(root, get, 1).capability(Box.CAP));
    call(promise);
    call(promise, get, 0).capability(Box.CAP).release();
    call(root, put, 0, own.dup());
    call(promise);
    const tail = this.hold(call(root, put, 2, own.dup()).capability(Box.CAP));
    call(tail);
    call(tail, put, 1, own.dup());
    call(root, fail);
    const own2 = promiseCapability();
    call(root, put, 1, own2.capability);
    own2.resolve(own.dup());
    call(root, wait).cancel();
    const waited = this.hold(call(root, wait).capability(Box.CAP));
    call(waited, put, 0, tail.dup(), promise.dup());
  }

  /** Gives up everything. */
  release(): void {
    for (const call of this.pending) call.cancel();
    for (const capability of this.held) capability.release();
    for (const resolve of this.promises) resolve(this.service());
  }
}

/** What one side was sent, message by message, and when it gave up everything. */
export type Script = readonly (Uint8Array | "release")[];

export interface Recording {
  readonly toServer: Script;
  readonly toClient: Script;
}

/**
 * Each side takes one message at a time, and has time to answer: as it will when it is played
 * again.
 */
export async function record(): Promise<Recording> {
  const client = { party: new Party(), wire: new Wire(), script: [] as Script[number][] };
  const server = { party: new Party(), wire: new Wire(), script: [] as Script[number][] };
  new Connection(server.wire, { bootstrap: server.party.service });
  const asking = new Connection(client.wire, { bootstrap: client.party.service });
  client.party.ask(asking);
  const inbox = new Map([
    [client, [] as Uint8Array[]],
    [server, [] as Uint8Array[]],
  ]);
  const exchange = async (): Promise<void> => {
    for (let quiet = 0; quiet < 6; quiet++) {
      for (const [side, other] of [
        [client, server],
        [server, client],
      ] as const) {
        await new Promise((resolve) => setImmediate(resolve));
        inbox.get(other)!.push(...side.wire.takeSent());
        const message = inbox.get(side)!.shift();
        if (message === undefined) continue;
        side.script.push(message);
        side.wire.deliver(message);
        quiet = 0;
      }
    }
  };
  await exchange();
  for (const side of [client, server]) {
    side.script.push("release");
    side.party.release();
    await exchange();
  }
  asking.close();
  await exchange();
  return { toServer: server.script, toClient: client.script };
}

/** A transport whose other end is the test. */
export class Wire implements Transport {
  readonly description = "fuzz";
  readonly bufferedBytes = 0;
  private handlers: Parameters<Transport["start"]>[0] | undefined;
  private sent: Uint8Array[] = [];
  isClosed = false;

  start(handlers: Parameters<Transport["start"]>[0]): void {
    this.handlers = handlers;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    this.sent.push(...chunks);
    return true;
  }

  takeSent(): Uint8Array[] {
    const { sent } = this;
    this.sent = [];
    return messages(Buffer.concat(sent));
  }

  deliver(chunk: Uint8Array): void {
    if (!this.isClosed) this.handlers?.onData(chunk);
  }

  pause(): void {}
  resume(): void {}

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.handlers?.onClose();
  }

  destroy(): void {
    this.close();
  }
}
