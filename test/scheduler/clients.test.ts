/** The names that clients can have, and what is kept of those that are removed. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { RpcError } from "../../src/rpc/index.js";
import { DEFAULT_CLIENT_LIMITS } from "../../src/scheduler/services/client-limits.js";
import { Clients } from "../../src/scheduler/services/clients.js";
import { Store } from "../../src/scheduler/state/store.js";

let store: Store;
let clients: Clients;

beforeEach(() => {
  store = Store.open(":memory:");
  clients = new Clients(store.sturdyRefs, DEFAULT_CLIENT_LIMITS);
});

afterEach(() => store.close());

it.each(["alice", "a b", "org/alice", "ålice", "アリス"])("%s can be one", (name) => {
  const secret = clients.add(name);
  expect(clients.find(secret)?.client).toBe(name);
  expect(clients.list()).toEqual([name]);
});

it("bytes that are no text cannot: all such names would be the same", () => {
  const name = Buffer.from([0x61, 0xff]).toString();
  expect(() => clients.add(name)).toThrow(new RpcError("failed", "A client's name must be UTF-8"));
  expect(() => clients.add("")).toThrow(new RpcError("failed", "A client needs a name"));
  expect(clients.list()).toEqual([]);
});

it("one that is removed leaves nothing behind, but for the account of what it still has queued", () => {
  const account = () => clients.find(clients.add("alice"))!.queueAccount;
  const first = account();
  first.enter(10);
  clients.remove("alice");
  expect(account()).toBe(first);
  first.leave(10);
  clients.remove("alice");
  expect(account()).not.toBe(first);
});
