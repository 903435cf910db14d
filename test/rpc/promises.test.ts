/** Promises and tail calls, over a connection and without one: it must make no difference. */
import { describe, expect, test } from "vitest";
import { method, promiseCapability, RpcError, serve } from "../../src/rpc/index.js";
import { Box, echo, get, put } from "./support/box.js";
import { settle } from "./support/pair.js";
import { recorder, WORLDS } from "./support/worlds.js";

describe.each(Object.entries(WORLDS))("%s", (_, world) => {
  test("calls on a promise wait, and keep their order when it resolves", async () => {
    const there = recorder();
    const here = recorder();
    const { root, end } = world(there.make("object"));
    const { capability, resolve } = promiseCapability();
    (
      await root.call(put, (_, payload) => payload.setCapability(Box.CAP, capability)).response
    ).release();
    const promise = there.kept[0]!;
    const calls = [1, 2].map((number) =>
      promise.call(echo, (params) => {
        params.number = number;
      }),
    );
    await settle();
    expect(here.events).toEqual([]);
    resolve(here.make("late"));
    calls.push(
      promise.call(echo, (params) => {
        params.number = 3;
      }),
    );
    await promise.whenResolved();
    calls.push(
      promise.call(echo, (params) => {
        params.number = 4;
      }),
    );
    for (const call of calls) (await call.response).release();
    promise.release();
    await settle();
    expect(here.events).toEqual(["late 1", "late 2", "late 3", "late 4", "late released"]);
    await end();
  });

  test("a promise that breaks breaks what waits for it", async () => {
    const there = recorder();
    const { root, end } = world(there.make("object"));
    const { capability, reject } = promiseCapability();
    (
      await root.call(put, (_, payload) => payload.setCapability(Box.CAP, capability)).response
    ).release();
    const promise = there.kept[0]!;
    const call = promise.call(echo);
    const broken = new Promise<RpcError>((resolve) => {
      promise.onBroken(resolve);
    });
    reject(new RpcError("unimplemented", "never"));
    await expect(call.response).rejects.toMatchObject({ kind: "unimplemented", message: "never" });
    expect((await broken).message).toBe("never");
    promise.release();
    await end();
  });

  test("a promise that resolves to an object of its holder keeps the order of calls", async () => {
    const there = recorder();
    const here = recorder();
    // The object gives a promise, which it later resolves to what it was given before: the caller's
    // own object.
    const { capability, resolve } = promiseCapability();
    const service = serve("giver", [
      method(get, (call) => call.setCapability(Box.CAP, capability)),
      method(put, (call) => {
        resolve(call.capability(Box.CAP));
      }),
    ]);
    const { root, end } = world(service);
    const got = root.call(get);
    using gift = got.capability(Box.CAP);
    got.cancel();
    const send = (number: number) =>
      gift.call(echo, (params) => {
        params.number = number;
      });
    const calls = [send(1), send(2)];
    using own = here.make("own");
    const given = root.call(put, (_, payload) => payload.setCapability(Box.CAP, own.dup()));
    for (let number = 3; number < 30; number++) {
      calls.push(send(number));
      await new Promise((next) => setImmediate(next));
    }
    (await given.response).release();
    for (const call of calls) (await call.response).release();
    expect(here.events).toEqual(Array.from({ length: 29 }, (_, i) => `own ${i + 1}`));
    expect(there.events).toEqual([]);
    gift.release();
    own.release();
    await end();
  });

  test("a tail call answers in another's name", async () => {
    const there = recorder();
    const target = there.make("target");
    const service = serve(
      "front",
      [
        method(echo, (call) => {
          call.tailCall(target, echo, (params) => {
            params.number = call.params.number * 10;
          });
        }),
        method(get, (call) => call.forward(target)),
      ],
      { release: () => target.release() },
    );
    const { root, end } = world(service);
    const response = await root.call(echo, (params) => {
      params.number = 4;
    }).response;
    expect(response.results.number).toBe(41);
    response.release();
    using got = root.call(get);
    using child = got.capability(Box.CAP);
    (await child.call(echo).response).release();
    child.release();
    got.cancel();
    expect(there.events).toEqual(["target 40", "target's child 0"]);
    await end();
  });

  test("a tail call back to the caller's own object", async () => {
    const here = recorder();
    const service = serve("mirror", [
      method(echo, (call) => {
        using target = call.capability(Box.CAP);
        call.tailCall(target, echo, (params) => {
          params.number = call.params.number;
        });
      }),
      method(get, (call) => {
        using target = call.capability(Box.CAP);
        call.forward(target);
      }),
    ]);
    const { root, end } = world(service);
    using own = here.make("own");
    const response = await root.call(echo, (params, payload) => {
      params.number = 4;
      payload.setCapability(Box.CAP, own.dup());
    }).response;
    expect(response.results.number).toBe(5);
    response.release();
    using got = root.call(get, (_, payload) => payload.setCapability(Box.CAP, own.dup()));
    using child = got.capability(Box.CAP);
    const calls = [1, 2, 3].map((number) =>
      child.call(echo, (params) => {
        params.number = number;
      }),
    );
    await got.response;
    calls.push(
      child.call(echo, (params) => {
        params.number = 4;
      }),
    );
    for (const call of calls) (await call.response).release();
    expect(here.events.slice(1)).toEqual([1, 2, 3, 4].map((number) => `own's child ${number}`));
    child.release();
    got.cancel();
    own.release();
    await end();
  });
});
