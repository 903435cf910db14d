/**
 * References that are lost without having been released: they are counted, and released when they
 * are found.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { leakedReferences, method, serve } from "../../src/rpc/index.js";
import { Box, get } from "./support/box.js";
import { connect, expectNothingLeft, settle } from "./support/pair.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Collects garbage until `condition` holds: finalizers run some time after a collection. */
async function collectUntil(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !condition(); i++) {
    collectGarbage();
    await settle();
  }
  expect(condition()).toBe(true);
}

function world() {
  const events: string[] = [];
  const pair = connect(() =>
    serve(
      "giver",
      [
        method(get, (call) => {
          const gift = serve("gift", [], { release: () => events.push("gift released") });
          call.setCapability(Box.CAP, gift);
        }),
      ],
      { release: () => events.push("giver released") },
    ),
  );
  return { events, pair };
}

test("a capability", async () => {
  const { events, pair } = world();
  const before = leakedReferences();
  await (async () => {
    const lost = pair.client.bootstrap();
    await lost.whenResolved();
  })();
  await collectUntil(() => pair.client.stats().leaks === 1);
  expect(leakedReferences()).toBe(before + 1);
  await settle();
  expect(events).toEqual(["giver released"]);
  expect(pair.client.stats()).toMatchObject({ imports: 0, questions: 0 });
  pair.client.close();
});

test("an answer with a capability in it", async () => {
  const { events, pair } = world();
  using giver = pair.client.bootstrap();
  await (async () => {
    await giver.call(get).response;
  })();
  await collectUntil(() => pair.client.stats().leaks === 1);
  await settle();
  expect(events).toEqual(["gift released"]);
  pair.client.close();
});

test("nothing is counted when everything was released", async () => {
  const { events, pair } = world();
  const before = leakedReferences();
  await (async () => {
    using giver = pair.client.bootstrap();
    using call = giver.call(get);
    using gift = call.capability(Box.CAP);
    using copy = gift.dup();
    await copy.whenResolved();
    (await call.response).release();
  })();
  for (let i = 0; i < 10; i++) {
    collectGarbage();
    await settle();
  }
  expect(leakedReferences()).toBe(before);
  expect(events.sort()).toEqual(["gift released", "giver released"]);
  await expectNothingLeft(pair);
});
