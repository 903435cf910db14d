/**
 * What programs act upon in an `RpcError`: its code, made here or understood from a peer's words.
 */
import { expect, test } from "vitest";
import { isNameTaken } from "../../src/api/registration.js";
import { type ErrorKind, RpcError } from "../../src/rpc/errors.js";

test.each<[ErrorKind, string, string | undefined]>([
  ["unimplemented", "Unknown interface 17394562", "wrong-interface"],
  ["failed", "Unknown persistent service ID", "unknown-service"],
  ["failed", "Unknown interface 17394562", undefined],
  ["unimplemented", "Registration has no method 7", undefined],
  ["overloaded", "Unknown persistent service ID", undefined],
  // Who says this is there, and has the right key.
  ["disconnected", "Cannot connect to the database: connection refused", undefined],
  ["failed", "The server at db:5432 has another key than the capability asks for", undefined],
])("a peer's %s: %s has the code %s", (kind, reason, code) => {
  expect(new RpcError(kind, reason).code).toBe(code);
});

test("a code that was given counts, whatever the words", () => {
  const error = new RpcError("failed", "Unknown persistent service ID", { code: "wrong-key" });
  expect(error.code).toBe("wrong-key");
});

test("a name that is taken is known by the words of schedulers", () => {
  expect(isNameTaken(new RpcError("failed", "Worker already registered!"))).toBe(true);
  expect(isNameTaken(new RpcError("disconnected", "Worker already registered!"))).toBe(false);
  expect(isNameTaken(new Error("Worker already registered!"))).toBe(false);
});
