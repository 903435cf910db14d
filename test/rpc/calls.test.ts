/**
 * What users do with capabilities, over a connection and without one: it must make no difference.
 */
import { describe, expect, test } from "vitest";
import { brokenCapability, method, RpcError, serve } from "../../src/rpc/index.js";
import { Box, boxMethod, echo, fail, get, put, wait } from "./support/box.js";
import { connect, expectNothingLeft, refuse, settle } from "./support/pair.js";
import { recorder, WORLDS } from "./support/worlds.js";

describe.each(Object.entries(WORLDS))("%s", (_, world) => {
  test("a call is answered", async () => {
    const { events, make } = recorder();
    const { root, end } = world(make("object"));
    const call = root.call(echo, (params) => {
      params.number = 41;
      params.text = "grüße";
    });
    const response = await call.response;
    expect(response.results.number).toBe(42);
    expect(response.results.text).toBe("grüße");
    response.release();
    await end();
    expect(events).toEqual(["object 41", "object released"]);
  });

  test("what a handler returns is no answer", async () => {
    const handler = (() => 42) as unknown as () => void;
    const { root, end } = world(serve("Box", [method(echo, handler)]));
    const response = await root.call(echo).response;
    expect(response.results.number).toBe(0);
    response.release();
    await end();
  });

  test("calls arrive in their order, and not before the caller goes on", async () => {
    const { events, make } = recorder();
    const { root, end } = world(make("object"));
    const calls = [1, 2, 3, 4, 5].map((number) =>
      root.call(echo, (params) => {
        params.number = number;
      }),
    );
    expect(events).toEqual([]);
    for (const call of calls) (await call.response).release();
    expect(events).toEqual([1, 2, 3, 4, 5].map((number) => `object ${number}`));
    await end();
  });

  test("an answer's capability can be called before the answer is there", async () => {
    const { events, make } = recorder();
    const { root, end } = world(make("object"));
    using first = root.call(get);
    using child = first.capability(Box.CAP);
    using second = child.call(get);
    using grandchild = second.capability(Box.CAP);
    using call = grandchild.call(echo, (params) => {
      params.number = 7;
    });
    expect((await call.response).results.number).toBe(8);
    expect(events).toEqual(["object's child's child 7"]);
    call.cancel();
    grandchild.release();
    second.cancel();
    child.release();
    first.cancel();
    await end();
    expect(events.filter((event) => event.endsWith("released"))).toHaveLength(3);
  });

  test("an object given as a param can be called back, and is released", async () => {
    const there = recorder();
    const here = recorder();
    const { root, end } = world(there.make("object"));
    (
      await root.call(put, (_, payload) => {
        payload.setCapability(Box.CAP, here.make("callback"));
      }).response
    ).release();
    const callback = there.kept[0]!;
    const response = await callback.call(echo, (params) => {
      params.number = 1;
    }).response;
    expect(response.results.number).toBe(2);
    response.release();
    callback.release();
    await settle();
    expect(here.events).toEqual(["callback 1", "callback released"]);
    await end();
  });

  test("an object that comes home is the object itself", async () => {
    const there = recorder();
    const { root, end } = world(there.make("object"));
    const got = root.call(get);
    using child = got.capability(Box.CAP);
    got.cancel();
    await child.whenResolved();
    (
      await root.call(put, (_, payload) => payload.setCapability(Box.CAP, child.dup())).response
    ).release();
    const returned = there.kept[0]!;
    (await returned.call(echo).response).release();
    returned.release();
    child.release();
    await settle();
    expect(there.events).toEqual(["object's child 0", "object's child released"]);
    await end();
  });

  test("a call that is cancelled tells its handler", async () => {
    const { events, make, open } = recorder();
    const { root, end } = world(make("object"));
    const call = root.call(wait);
    await settle();
    call.cancel();
    await expect(call.response).rejects.toThrow("the call was cancelled");
    await settle();
    expect(events).toEqual(["object aborted"]);
    open();
    await end();
  });

  test("an abort signal cancels a call", async () => {
    const { events, make, open } = recorder();
    const { root, end } = world(make("object"));
    const controller = new AbortController();
    const call = root.call(wait, undefined, { signal: controller.signal });
    await settle();
    controller.abort();
    await expect(call.response).rejects.toThrow("the call was cancelled");
    await settle();
    expect(events).toEqual(["object aborted"]);
    open();
    await end();
  });

  test("a call is not cancelled while a call on its answer depends on it", async () => {
    let give: (() => void) | undefined;
    let isAborted = false;
    const child = recorder();
    const service = serve("slow", [
      method(get, async (call) => {
        call.signal.addEventListener("abort", () => {
          isAborted = true;
        });
        await new Promise<void>((resolve) => {
          give = resolve;
        });
        call.setCapability(Box.CAP, child.make("child"));
      }),
    ]);
    const { root, end } = world(service);
    const call = root.call(get);
    const pipelined = call.capability(Box.CAP);
    const second = pipelined.call(echo, (params) => {
      params.number = 5;
    });
    pipelined.release();
    call.cancel();
    await settle();
    expect(isAborted).toBe(false);
    give!();
    const response = await second.response;
    expect(response.results.number).toBe(6);
    response.release();
    await end();
  });

  test("errors arrive as what they are", async () => {
    const { make } = recorder();
    const { root, end } = world(make("object"));
    await expect(root.call(fail).response).rejects.toMatchObject({
      kind: "failed",
      message: "no reason",
    });
    const overloaded = root.call(fail, (params) => {
      params.number = 1;
      params.text = "too much";
    });
    await expect(overloaded.response).rejects.toMatchObject({
      kind: "overloaded",
      message: "too much",
    });
    await expect(root.call(boxMethod(99)).response).rejects.toMatchObject({
      kind: "unimplemented",
    });
    await expect(root.call(boxMethod(0, 12345n)).response).rejects.toMatchObject({
      kind: "unimplemented",
      message: "Unknown interface 12345",
    });
    await end();
  });

  test("a capability that is not there, or broken, says so when it is called", async () => {
    const there = recorder();
    const { root, end } = world(there.make("object"));
    (await root.call(put).response).release();
    const missing = there.kept[0]!;
    await expect(missing.call(echo).response).rejects.toThrow("there is no capability here");
    missing.release();

    const error = new RpcError("overloaded", "broken on purpose");
    (
      await root.call(put, (_, payload) => payload.setCapability(Box.CAP, brokenCapability(error)))
        .response
    ).release();
    const broken = there.kept[1]!;
    await expect(broken.call(echo).response).rejects.toMatchObject({
      kind: "overloaded",
      message: "broken on purpose",
    });
    await expect(broken.whenResolved()).rejects.toThrow("broken on purpose");
    broken.release();
    await end();
  });

  test("content is kept and passed on by itself, with the capabilities in it", async () => {
    const there = recorder();
    const { root, end } = world(there.make("object"));
    const response = await root.call(echo, (params) => {
      params.text = "kept";
    }).response;
    using text = response.detach(0);
    using nothing = response.detach(1);
    response.release();
    expect(text.byteLength).toBe(16);
    expect(nothing.byteLength).toBe(0);
    const again = await root.call(echo, (params, payload) => {
      params.number = 1;
      payload.setPointer(0, text);
      payload.setPointer(1, nothing);
    }).response;
    expect(again.results.text).toBe("kept");
    again.release();
    await end();
  });

  test("using what was released says so", async () => {
    const { make } = recorder();
    const { root, end } = world(make("object"));
    const copy = root.dup();
    copy.release();
    copy.release();
    expect(() => copy.call(echo)).toThrow("released already");
    expect(() => copy.dup()).toThrow("released already");
    const response = await root.call(get).response;
    response.release();
    expect(() => response.results).toThrow("released already");
    expect(() => response.capability(Box.CAP)).toThrow("released already");
    await end();
  });

  test("large data arrives whole", async () => {
    const service = serve("data", [
      method(echo, (call) => {
        const bytes = call.params.data.toUint8Array();
        call.results().initData(bytes.byteLength).copyBuffer(bytes);
      }),
    ]);
    const { root, end } = world(service);
    const bytes = new Uint8Array(10_000_003).map((_, i) => i * 31);
    const response = await root.call(echo, (params) => {
      params.initData(bytes.byteLength).copyBuffer(bytes);
    }).response;
    expect(Buffer.compare(response.results.data.toUint8Array(), bytes)).toBe(0);
    response.release();
    await end();
  });
});

test("an unknown service is refused, and the calls on it fail with that", async () => {
  const pair = connect(refuse);
  using service = pair.client.bootstrap(Buffer.from("nonsense"));
  const call = service.call(echo);
  await expect(call.response).rejects.toMatchObject({
    kind: "failed",
    message: "Unknown persistent service ID",
  });
  await expect(service.whenResolved()).rejects.toThrow("Unknown persistent service ID");
  service.release();
  await expectNothingLeft(pair);
});

test("when a connection ends, whatever waits for it fails, and everything is released", async () => {
  const there = recorder();
  const here = recorder();
  const pair = connect(() => there.make("object"));
  const root = pair.client.bootstrap();
  const waiting = root.call(wait, (_, payload) => payload.setCapability(Box.CAP, here.make("own")));
  const got = root.call(get);
  const child = got.capability(Box.CAP);
  got.cancel();
  await settle();
  const broken: string[] = [];
  child.onBroken((error) => broken.push(`child: ${error}`));
  pair.client.onDisconnect((error) => broken.push(`connection: ${error}`));
  pair.server.close(new RpcError("disconnected", "going home"));
  await expect(waiting.response).rejects.toMatchObject({
    kind: "disconnected",
    message: "going home",
  });
  await expect(root.call(echo).response).rejects.toMatchObject({ kind: "disconnected" });
  expect(String(await pair.client.closed)).toBe("Disconnected: going home");
  await settle();
  expect(broken.sort()).toEqual([
    "child: Disconnected: going home",
    "connection: Disconnected: going home",
  ]);
  expect(here.events).toEqual(["own released"]);
  there.open();
  await settle();
  expect(there.events.sort()).toEqual([
    "object aborted",
    "object released",
    "object's child released",
  ]);
  child.release();
  root.release();
});
