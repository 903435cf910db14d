/** Leases and ends as bytes: what goes in comes out, and what is none is refused. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Lease,
  type LeaseEnd,
  packEnds,
  packLeases,
  unpackEnds,
  unpackLeases,
} from "../../src/api/lease-bytes.js";
import { RpcError } from "../../src/rpc/index.js";

const number = fc.nat({ max: 2 ** 47 });
const text = fc.string({ unit: "grapheme", maxLength: 50 });
const bytes = fc.uint8Array({ maxLength: 300 });
const content = fc.oneof(
  fc.record({ descr: bytes }),
  fc.record({ batch: number.map((batch) => batch + 1), row: bytes }),
);
const lease: fc.Arbitrary<Lease> = fc
  .record({
    job: number,
    attempt: fc.nat(),
    client: fc.constantFrom("alice", "bob", "ünï"),
    timeout: fc.double({ noNaN: true }),
    content,
    order: fc.option(
      fc.record({
        paths: fc.array(text, { minLength: 1, maxLength: 3 }),
        when: fc.constantFrom("success" as const, "failure" as const, "always" as const),
        optional: fc.boolean(),
      }),
    ),
  })
  .map(({ order, ...each }) => ({
    ...each,
    ...(order && { outputs: order, outputLimit: 2 ** 33 }),
  }));
const end: fc.Arbitrary<LeaseEnd> = fc.record({
  job: number,
  attempt: fc.nat(),
  cause: fc.constantFrom("succeeded" as const, "failed" as const, "no space" as const),
  begun: fc.boolean(),
  seconds: fc.double({ noNaN: true }),
  output: text,
  reason: text,
  log: bytes,
});

/** With bytes as plain lists. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, each) => {
      return each instanceof Uint8Array || each?.type === "Buffer"
        ? [...(each.data ?? each)]
        : each;
    }),
  );
}

describe("leases as bytes", () => {
  it("are what they were", () => {
    const property = fc.property(fc.array(lease, { maxLength: 20 }), (leases) => {
      expect(plain(unpackLeases(packLeases(leases)))).toEqual(plain(leases));
    });
    fc.assert(property, { seed: 11 });
  });

  it("and their ends, too, however many and long", () => {
    const property = fc.property(fc.array(end, { maxLength: 20 }), (ends) => {
      expect(plain(unpackEnds(packEnds(ends), 20, 300))).toEqual(plain(ends));
    });
    fc.assert(property, { seed: 12 });
    const large: LeaseEnd = {
      ...{ job: 1, attempt: 1, cause: "succeeded" as const, begun: true, seconds: 1, output: "" },
      ...{ reason: "", log: new Uint8Array(16_000).fill(7) },
    };
    const many = Array.from({ length: 256 }, (_, job) => ({ ...large, job }));
    const back = unpackEnds(packEnds(many), 256, 16_000);
    expect(back.map(({ job }) => job)).toEqual(many.map(({ job }) => job));
    expect(back.every(({ log }) => log.length === 16_000 && log[15_999] === 7)).toBe(true);
  });

  it("are refused if they are cut short, or anything else", () => {
    const cut = fc.property(fc.array(end, { minLength: 1, maxLength: 3 }), fc.nat(), (ends, at) => {
      const whole = packEnds(ends);
      const part = whole.subarray(0, at % whole.length);
      const most = ends.map((_, index) => packEnds(ends.slice(0, index)).length);
      if (most.includes(part.length)) return;
      expect(() => unpackEnds(part, 20, 300)).toThrow(RpcError);
    });
    fc.assert(cut, { seed: 13 });
    const nonsense = fc.property(bytes, (some) => {
      try {
        unpackLeases(some);
      } catch (error) {
        expect(error instanceof RpcError || error instanceof SyntaxError).toBe(true);
      }
    });
    fc.assert(nonsense, { seed: 14 });
  });
});
