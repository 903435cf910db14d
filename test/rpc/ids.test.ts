/**
 * The tables of a connection by ids of the peer's: whatever ids it chooses, they hold what a map would, and take as much room.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { PeerIdTable } from "../../src/rpc/connection/ids.js";

const MIB = 1024 * 1024;

test("a table by the peer's ids is a map", () => {
  const id = fc.oneof(
    fc.nat(40),
    fc.nat(6000),
    fc.constantFrom(1023, 1024, 1025, 1026, 1027, 1028, 0xffff_ffff),
  );
  const step = fc.tuple(fc.constantFrom("set", "set", "delete"), id);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const table = new PeerIdTable<object>();
      const model = new Map<number, object>();
      for (const [action, id] of steps) {
        const entry = { id };
        if (action === "set") {
          table.set(id, entry);
          model.set(id, entry);
        } else {
          table.delete(id);
          model.delete(id);
        }
        expect(table.size).toBe(model.size);
        for (const [, near] of steps) expect(table.get(near)).toBe(model.get(near));
      }
      expect(new Set(table.drain())).toEqual(new Set(model.values()));
    }),
    { numRuns: 200 },
  );
});

test("ids that only ever grow take no room once they are free", () => {
  const table = new PeerIdTable<object>();
  const before = process.memoryUsage().heapUsed;
  for (let i = 1; i <= 20_000; i++) {
    table.set(1000 * i, {});
    table.delete(1000 * i);
  }
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(50 * MIB);
  expect(table.size).toBe(0);
});
