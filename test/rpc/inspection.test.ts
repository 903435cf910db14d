/**
 * Looking into a connection: `check` finds each kind of spoiled table, and `dump` says what is in
 * them. That nothing is found in sound ones is what the model and fuzz tests ask at each of their
 * steps.
 */
import { expect, test } from "vitest";
import type { Protocol } from "../../src/rpc/connection/protocol.js";
import type { Connection } from "../../src/rpc/index.js";
import { promiseCapability } from "../../src/rpc/index.js";
import { Box, get, put, wait } from "./support/box.js";
import { keeper } from "./support/keeper.js";
import { connect, settle } from "./support/pair.js";

/** The tables behind a connection, to be spoiled. */
function tablesOf(connection: Connection): Protocol {
  return (connection as unknown as { readonly protocol: Protocol }).protocol;
}

/**
 * A client that waits for a call and has given the server a promise, and a server that holds it.
 */
async function conversation() {
  const { service, kept, gifts } = keeper();
  const pair = connect(() => service.dup());
  const root = pair.client.bootstrap();
  const promise = promiseCapability();
  root.call(put, (_, payload) => payload.setCapability(Box.CAP, promise.capability));
  root.call(wait);
  await settle();
  return { ...pair, root, promise, kept, gifts };
}

/** An entry of a table with its private members. */
type Spoiled = Record<string, unknown>;

function first(table: { forEach(visit: (entry: object) => void): void }): Spoiled {
  const entries: object[] = [];
  table.forEach((entry) => {
    entries.push(entry);
  });
  return entries[0] as Spoiled;
}

test("nothing is wrong with a sound connection, nor with one that has ended", async () => {
  const { client, server } = await conversation();
  expect([...client.check(), ...server.check()]).toEqual([]);
  client.close();
  await server.closed;
  await settle();
  expect([...client.check(), ...server.check()]).toEqual([]);
});

test.each<[string, (client: Protocol, server: Protocol) => unknown, RegExp]>([
  ["a lost reference", ({ imports }) => (first(imports).references = 7), /^import 0: 7 references/],
  ["a held question too many", ({ questions }) => (first(questions).references = 2), /^question/],
  ["a question that is done", ({ questions }) => (first(questions).state = "complete"), /complete/],
  ["an export without mentions", ({ exports }) => (first(exports).mentions = 0), /no mentions/],
  [
    "a promise that nobody watches",
    ({ exports }) => (first(exports).watched = undefined),
    /forgot/,
  ],
  [
    "an answer that was not sent",
    (_, { answers }) => (first(answers).state = "returned"),
    /settled/,
  ],
  ["calls miscounted", (_, server) => (server.callsInFlight = 0), /calls in flight are counted/],
  ["an id freed in use", ({ questions }) => questions.delete(questions.size), /./],
  ["an import under another id", ({ imports }) => imports.set(9, imports.get(0)!), /under id 9/],
  [
    "what is held and in no table",
    (_, { answers, imports }) => {
      Object.assign(first(answers), { state: "returned", targets: [imports.get(0)] });
      imports.delete(0);
    },
    /1 entries are held and in no table/,
  ],
])("%s is found", async (_, spoil, message) => {
  const { client, server } = await conversation();
  const [ours, theirs] = [tablesOf(client), tablesOf(server)];
  spoil(ours, theirs);
  expect([...client.check(), ...server.check()].join("\n")).toMatch(message);
});

test("a dump names what is in the tables", async () => {
  const { client, server, root } = await conversation();
  using call = root.call(get);
  using capability = call.capability(Box.CAP);
  capability.call(wait);
  expect(client.dump()).toMatch(/questions: \d\n.*waiting, references 1/);
  expect(client.dump()).toContain("called at [2]");
  expect(client.dump()).toMatch(/exports: 1\n {4}\d: promise, waiting, mentions 1/);
  expect(server.dump()).toMatch(/answers: \d\n/);
  expect(server.dump()).toContain("calls in flight: 1");
  expect(server.dump()).toMatch(/imports: 1\n {4}\d: promise, waiting, mentions 1, references 1/);
  tablesOf(server).callsInFlight = 0;
  expect(server.dump()).toContain("violated: ");
});
