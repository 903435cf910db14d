/**
 * A capability that tells when it was answered: it must not make a difference to those who use it.
 */
import { describe, expect, test } from "vitest";
import { promiseCapability, RpcError, watched, weakReference } from "../../src/rpc/index.js";
import { echo, get } from "./support/box.js";
import { settle } from "./support/pair.js";
import { recorder, WORLDS } from "./support/worlds.js";

describe.each(Object.entries(WORLDS))("%s", (_, world) => {
  test("calls go through in order, those of the method are told of, and the last reference ends it", async () => {
    const there = recorder();
    let answers = 0;
    const object = there.make("object");
    const find = weakReference(object);
    const { root, end } = world(watched(object, echo, () => answers++));
    const calls = [1, 2, 3].map((number) =>
      root.call(echo, (params) => {
        params.number = number;
      }),
    );
    for (const call of calls) (await call.response).release();
    (await root.call(get).response).release();
    expect(there.events.slice(0, 3)).toEqual(["object 1", "object 2", "object 3"]);
    expect(answers).toBe(3);
    find()!.release();
    await end();
    await settle();
    expect(find()).toBeNull();
    expect(there.events).toContain("object released");
  });
});

test("what it stands for may be decided later, or break", async () => {
  const there = recorder();
  const [good, bad] = [promiseCapability(), promiseCapability()];
  let answers = 0;
  const later = watched(good.capability, echo, () => answers++);
  const never = watched(bad.capability, echo, () => answers++);
  const broken = new Promise<RpcError>((resolve) => never.onBroken(resolve));
  const calls = [later.call(echo), never.call(echo)];
  good.resolve(there.make("object"));
  bad.reject(new RpcError("disconnected", "gone"));
  (await calls[0]!.response).release();
  await expect(calls[1]!.response).rejects.toMatchObject({ message: "gone" });
  expect((await broken).kind).toBe("disconnected");
  expect(answers).toBe(1);
  later.release();
  never.release();
  await settle();
  expect(there.events.at(-1)).toBe("object released");
});
