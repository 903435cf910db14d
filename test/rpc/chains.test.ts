/**
 * What leads to each other without end: promises, answers, and params. However long such a chain
 * is, whatever goes through it – a call, a failure, a release – uses no stack for its length, and
 * no step of building it goes through all of it.
 */
import { expect, test } from "vitest";
import { BrokenHook } from "../../src/rpc/capability/broken.js";
import { PromiseHook } from "../../src/rpc/capability/promise.js";
import { ResultPromise } from "../../src/rpc/capability/result.js";
import {
  brokenCapability,
  type Capability,
  type CapabilityPromise,
  method,
  type PendingCall,
  promiseCapability,
  RpcError,
  serve,
} from "../../src/rpc/index.js";
import { Payload } from "../../src/rpc/payload/payload.js";
import { Box, echo, get, put } from "./support/box.js";
import { connect, expectNothingLeft, settle } from "./support/pair.js";

/** Some times as many as there is stack for, if each took only one frame. */
const LENGTH = 20_000;

function promises(count: number): CapabilityPromise[] {
  return Array.from({ length: count }, promiseCapability);
}

/** Turns each promise into the next. Releases all of them but the first and the last. */
function chain(links: readonly CapabilityPromise[], order: "forwards" | "backwards"): void {
  const steps = links.slice(1).map((_, i) => i);
  if (order === "backwards") steps.reverse();
  for (const i of steps) links[i]!.resolve(links[i + 1]!.capability.dup());
  for (const { capability } of links.slice(1, -1)) capability.release();
}

function echoer(events: string[]): Capability {
  return serve(
    "echoer",
    [
      method(echo, (call) => {
        events.push(call.params.text);
        call.results().text = call.params.text;
      }),
    ],
    { release: () => events.push("released") },
  );
}

for (const order of ["forwards", "backwards"] as const) {
  test(`promises that turn into each other, ${order}`, async () => {
    const events: string[] = [];
    const links = promises(LENGTH);
    const [first, last] = [links[0]!, links.at(-1)!];
    const say = (text: string) =>
      first.capability.call(echo, (params) => {
        params.text = text;
      });
    using early = say("early");
    chain(links, order);
    using late = say("late");
    last.resolve(echoer(events));
    last.capability.release();
    await first.capability.whenResolved();
    await Promise.all([early.response, late.response]);
    first.capability.release();
    await settle();
    expect(events).toEqual(["early", "late", "released"]);
  });
}

test("promises that turn into each other are dropped", async () => {
  const events: string[] = [];
  const links = promises(LENGTH);
  const last = links.at(-1)!;
  last.resolve(echoer(events));
  // Each holds the next, as none knows yet that it could skip it.
  const hooks = links.map(() => new PromiseHook());
  hooks.forEach((hook, i) => {
    if (i > 0) hooks[i - 1]!.resolve(hook);
  });
  hooks[0]!.release();
  expect(hooks.some((hook) => hook.isReferenced)).toBe(false);
  for (const { capability } of links) capability.release();
  await settle();
  expect(events).toEqual(["released"]);
});

test("promises that turn into each other break, each of them watched and called", async () => {
  const links = promises(LENGTH);
  const broken: string[] = [];
  const calls: PendingCall<Box>[] = [];
  const watched = links.map(({ capability }) => {
    capability.onBroken((error) => broken.push(error.message));
    calls.push(capability.call(echo));
    return capability.whenResolved();
  });
  for (const [i, { resolve }] of links.entries()) {
    if (i + 1 < links.length) resolve(links[i + 1]!.capability.dup());
  }
  links.at(-1)!.reject(new RpcError("failed", "It is gone"));
  const outcomes = await Promise.allSettled([...watched, ...calls.map(({ response }) => response)]);
  expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["rejected"]));
  while (broken.length < links.length) await settle();
  expect(broken.length).toBe(links.length);
  for (const call of calls) call.cancel();
  for (const { capability } of links) capability.release();
});

test("who stops watching a promise is not told what became of it", async () => {
  const links = promises(3);
  const told: number[] = [];
  const stops = links.map(({ capability }, i) => capability.onBroken(() => told.push(i)));
  chain([...links], "forwards");
  stops[0]!();
  links[2]!.reject(new RpcError("failed", "It is gone"));
  await settle();
  expect(told).toEqual([2]); // the one between was released
  for (const { capability } of links) capability.release();
});

test("a call that was made on a promise can be cancelled when that is another one", async () => {
  const events: string[] = [];
  const links = promises(3);
  const calls = links.map(({ capability }, i) =>
    capability.call(echo, (params) => {
      params.text = `call ${i}`;
    }),
  );
  chain(links, "forwards");
  calls[1]!.cancel();
  links[2]!.resolve(echoer(events));
  await calls[0]!.response;
  await calls[2]!.response;
  expect(events.sort()).toEqual(["call 0", "call 2"]);
  for (const call of calls) call.cancel();
  for (const { capability } of links) capability.release();
});

for (const length of [1, 2, 3, 1000]) {
  test(`${length} promises in a circle are broken`, async () => {
    const links = promises(length);
    for (const [i, { resolve }] of links.entries()) {
      resolve(links[(i + 1) % length]!.capability.dup());
    }
    for (const { capability } of links) {
      await expect(capability.whenResolved()).rejects.toThrow("this would have to wait for itself");
      capability.release();
    }
  });
}

/**
 * Makes a call on the answer to a call on the answer… to a call on `target`, which is taken. Gives
 * the last answer.
 */
function callDeep(target: Capability, depth: number): Capability {
  let end = target;
  for (let i = 0; i < depth; i++) {
    using call = end.call(get);
    const next = call.capability(Box.CAP);
    end.release();
    end = next;
  }
  return end;
}

test("calls on answers to calls are delivered one after the other", async () => {
  let gifts = 0;
  const self = promiseCapability();
  const end = callDeep(self.capability.dup(), LENGTH);
  self.resolve(
    serve("giver of itself", [
      method(get, (call) => {
        gifts++;
        call.setCapability(Box.CAP, self.capability.dup());
      }),
    ]),
  );
  await end.whenResolved();
  expect(gifts).toBe(LENGTH);
  end.release();
  self.capability.release();
});

test("calls on answers to calls fail together", async () => {
  const target = promiseCapability();
  const end = callDeep(target.capability.dup(), LENGTH);
  target.reject(new RpcError("failed", "It is gone"));
  target.capability.release();
  await expect(end.whenResolved()).rejects.toThrow("It is gone");
  end.release();
});

test("calls on answers to calls are cancelled together", async () => {
  const events: string[] = [];
  const target = promiseCapability();
  const param = echoer(events);
  using first = target.capability.call(put, (_, payload) => payload.setCapability(Box.CAP, param));
  callDeep(first.capability(Box.CAP), LENGTH).release();
  first.cancel();
  await settle();
  expect(events).toEqual(["released"]);
  target.capability.release();
});

test("params that hold answers to calls whose params hold answers are dropped together", async () => {
  const events: string[] = [];
  const target = promiseCapability();
  let param = echoer(events);
  for (let i = 0; i < LENGTH; i++) {
    const taken = param;
    using call = target.capability.call(put, (_, payload) => payload.setCapability(Box.CAP, taken));
    param = call.capability(Box.CAP);
  }
  param.release();
  await settle();
  expect(events).toEqual(["released"]);
  target.capability.release();
});

test.each([
  ["given", "forwards"],
  ["given", "backwards"],
  ["failed", "forwards"],
  ["failed", "backwards"],
  ["dropped", "forwards"],
  ["dropped", "backwards"],
])("answers that are each other's, %s, %s", (outcome, order) => {
  const results = Array.from({ length: LENGTH }, () => new ResultPromise());
  const pairs = results.slice(1).map((result, i) => [result, results[i]!] as const);
  if (order === "backwards") pairs.reverse();
  for (const [result, other] of pairs) result.follow(other.addRef());
  const first = results[0]!;
  if (outcome === "given") {
    first.fulfill(Payload.ofCapability(new BrokenHook(new RpcError("failed", "A gift"))));
    expect(results.every(({ payload }) => payload?.capabilities.length === 1)).toBe(true);
  } else if (outcome === "failed") {
    first.reject(new RpcError("failed", "It is gone"));
    expect(results.every(({ error }) => error?.message === "It is gone")).toBe(true);
  }
  for (const result of results) result.release();
  expect(results.every((result) => result.isAbandoned)).toBe(true);
});

/**
 * Gives out promises, and turns the oldest of them into whatever it is handed: what a queue of jobs
 * is to clients and workers.
 */
function matchmaker(): Capability {
  const waiting: CapabilityPromise[] = [];
  return serve("matchmaker", [
    method(get, (call) => {
      const promise = promiseCapability();
      waiting.push(promise);
      call.setCapability(Box.CAP, promise.capability.dup());
    }),
    method(put, (call) => {
      const promise = waiting.shift()!;
      promise.resolve(call.capability(Box.CAP));
      promise.capability.release();
    }),
  ]);
}

for (const outcome of ["resolved", "broken", "dropped", "lost"]) {
  test(`promises that a peer turns into each other are ${outcome} in the end`, async () => {
    const events: string[] = [];
    const pair = connect(matchmaker);
    const maker = pair.client.bootstrap();
    const asked = Array.from({ length: LENGTH }, () => {
      using call = maker.call(get);
      return call.capability(Box.CAP);
    });
    const give = async (gift: Capability) => {
      using call = maker.call(put, (_, payload) => payload.setCapability(Box.CAP, gift));
      await call.response;
    };
    const calls = [asked[0]!.call(echo), asked.at(-1)!.call(echo)];
    await Promise.all(asked.slice(1).map((next) => give(next.dup())));
    if (outcome === "lost") {
      pair.server.close();
      await pair.client.closed;
    } else if (outcome === "resolved") {
      await give(echoer(events));
      for (const { response } of calls) await response;
    } else if (outcome === "broken") {
      await give(brokenCapability(new RpcError("failed", "It is gone")));
      for (const { response } of calls) await expect(response).rejects.toThrow("It is gone");
    }
    for (const call of calls) call.cancel();
    for (const promise of asked) promise.release();
    maker.release();
    await expectNothingLeft(pair);
    expect(events.at(-1)).toBe(outcome === "resolved" ? "released" : undefined);
  });
}
