/**
 * The TypeScript Peer of test.capnp: the counterpart of service.h.
 */

import { resultOf } from "../../src/api/calls.js";
import {
  type Capability,
  ERROR_KINDS,
  type ErrorKind,
  method,
  promiseCapability,
  RpcError,
  serve,
} from "../../src/rpc/index.js";
import { Callback$Client, Counter$Client, Peer$Client } from "./generated/test.js";

export const [
  ECHO,
  SINK,
  SOURCE,
  FAIL,
  HOLD,
  LET_GO,
  NEVER,
  CANCELLATIONS,
  COUNTER,
  COUNTER_LATER,
  COUNTERS,
  SAME,
  SAME_LATER,
  REPEAT,
  FORWARD,
] = Peer$Client.methods;
export const [NEXT] = Counter$Client.methods;
export const [CALL] = Callback$Client.methods;

/** A number that others wait for to go over or under a mark. */
class Gauge {
  value = 0;
  #waiting: { condition: (value: number) => boolean; resolve: (value: number) => void }[] = [];

  add(difference: number): void {
    this.value += difference;
    this.#waiting = this.#waiting.filter(({ condition, resolve }) => {
      if (!condition(this.value)) return true;
      resolve(this.value);
      return false;
    });
  }

  when(condition: (value: number) => boolean): Promise<number> {
    if (condition(this.value)) return Promise.resolve(this.value);
    return new Promise((resolve) => this.#waiting.push({ condition, resolve }));
  }
}

/** What all connections share, and tests look at. */
export class World {
  readonly counters = new Gauge();
  readonly cancellations = new Gauge();
  /** Calls of `hold` that came. */
  readonly holds = new Gauge();
  readonly #held = new Map<number, () => void>();

  hold(key: number): Promise<void> {
    const letGo = new Promise<void>((resolve) => this.#held.set(key, resolve));
    this.holds.add(1);
    return letGo;
  }

  letGo(key: number): void {
    const letGo = this.#held.get(key);
    if (!letGo) throw new Error(`nothing is held under ${key}`);
    this.#held.delete(key);
    letGo();
  }
}

/** A Counter that is counted in `world` for as long as it lives. */
function serveCounter(world: World, start: number): Capability {
  let value = start;
  world.counters.add(1);
  return serve(
    "Counter",
    [
      method(NEXT, (call) => {
        call.results().value = value++;
      }),
    ],
    {
      release: () => world.counters.add(-1),
    },
  );
}

/** A Counter that remembers the tags of the calls it gets, in their order. */
export function serveRecorder(tags: number[]): Capability {
  return serve("Recorder", [
    method(NEXT, (call) => {
      call.results().value = tags.push(call.params.tag);
    }),
  ]);
}

/** A Callback that doubles. */
export function serveDoubler(options?: { release(): void }): Capability {
  return serve(
    "Doubler",
    [
      method(CALL, (call) => {
        call.results().n = call.params.n * 2;
      }),
    ],
    options,
  );
}

/** A Peer. */
export function servePeer(world: World, options?: { release(): void }): Capability {
  const methods = [
    method(ECHO, (call) => {
      call.results().data = call.params.data;
    }),
    method(SINK, (call) => {
      call.results().size = BigInt(call.params.data.length);
    }),
    method(SOURCE, (call) => {
      const { size } = call.params;
      call.results()._initData(size).toUint8Array().fill(120);
    }),
    method(FAIL, ({ params }) => {
      throw new RpcError(ERROR_KINDS[params.kind] as ErrorKind, params.reason);
    }),
    method(HOLD, async (call) => {
      const { key } = call.params;
      await world.hold(key);
      call.results().key = key;
    }),
    method(LET_GO, ({ params }) => world.letGo(params.key)),
    method(NEVER, ({ signal }) => {
      return new Promise<void>((_, reject) => {
        signal.addEventListener("abort", () => {
          world.cancellations.add(1);
          reject(signal.reason);
        });
      });
    }),
    method(CANCELLATIONS, async (call) => {
      const { atLeast } = call.params;
      const count = await world.cancellations.when((value) => value >= atLeast);
      call.results().count = count;
    }),
    method(COUNTER, (call) => {
      call.results();
      call.setCapability(0, serveCounter(world, call.params.start));
    }),
    method(COUNTER_LATER, async (call) => {
      const { key, start } = call.params;
      await world.hold(key);
      call.results();
      call.setCapability(0, serveCounter(world, start));
    }),
    method(COUNTERS, async (call) => {
      const { atMost } = call.params;
      const live = await world.counters.when((value) => value <= atMost);
      call.results().live = live;
    }),
    method(SAME, (call) => {
      call.results();
      call.setCapability(0, call.capability(0));
    }),
    method(SAME_LATER, (call) => {
      const { capability, resolve } = promiseCapability();
      const cap = call.capability(0);
      void world.hold(call.params.key).then(() => resolve(cap));
      call.results();
      call.setCapability(0, capability);
    }),
    method(REPEAT, async (call) => {
      const { times } = call.params;
      using callback = call.capability(0);
      let sum = 0;
      for (let n = 0; n < times; n++) {
        const answer = callback.call(CALL, (params) => {
          params.n = n;
        });
        sum += await resultOf(answer, (results) => results.n);
      }
      call.results().sum = sum;
    }),
    method(FORWARD, (call) => {
      using target = call.capability(0);
      const { data } = call.params;
      call.tailCall(target, ECHO, (params) => {
        params.data = data;
      });
    }),
  ];
  return serve("Peer", methods, options);
}
