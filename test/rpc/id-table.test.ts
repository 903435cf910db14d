/**
 * The tables of a connection by ids of the peer's: whatever ids it chooses, they hold what a map
 * would, and take as much room.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { IdTable, PeerIdTable } from "../../src/rpc/connection/id-table.js";

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

test("a table by our ids gives out each id once, the free ones first, and knows no others", () => {
  const table = new IdTable<{ readonly id: number }>();
  const add = (count: number) => Array.from({ length: count }, () => table.add((id) => ({ id })));
  const entries = add(10_000);
  expect(entries.map(({ id }) => id)).toEqual([...entries.keys()]);
  for (const { id } of entries) if (id % 2 === 1) table.delete(id);
  for (const entry of entries) expect(table.get(entry.id)).toBe(entry.id % 2 ? undefined : entry);
  for (const id of [10_000, 12_288, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
    expect(table.get(id)).toBe(undefined);
  }
  const ids = new Set(add(6000).map(({ id }) => id));
  expect(ids.size).toBe(6000);
  expect(Math.max(...ids)).toBe(10_999);
  expect(table.size).toBe(11_000);
  expect([...table.drain()]).toHaveLength(11_000);
  expect([table.size, table.get(0), table.add((id) => ({ id })).id]).toEqual([0, undefined, 0]);
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
