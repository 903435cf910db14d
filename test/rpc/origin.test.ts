import { describe, expect, it } from "vitest";
import { ByOrigin, originOf } from "../../src/rpc/net/origin.js";

describe("where somebody comes from", () => {
  it.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8:1:2::6", "2001:db8:1:2"],
    ["2001:DB8::6", "2001:db8:0:0"],
    ["fe80::1%eth0", "fe80:0:0:0"],
    ["::1", "0:0:0:0"],
    ["1::", "1:0:0:0"],
    [undefined, ""],
  ])("%s", (address, origin) => {
    expect(originOf(address)).toBe(origin);
  });
});

describe("things by their origin", () => {
  const thing = (origin: string, name: string) => ({ origin, name });

  it("are counted, found and forgotten", () => {
    const things = new ByOrigin<{ origin: string; name: string }>();
    const [a, b, c] = [thing("x", "a"), thing("x", "b"), thing("y", "c")];
    for (const one of [a, b, c, a]) things.add(one);
    expect([things.size, [...things]]).toEqual([3, [a, b, c]]);
    expect(things.oldestOfMost()).toBe(a);
    expect([things.delete(a), things.delete(a), things.delete(b)]).toEqual([true, false, true]);
    expect([[...things.of("x")], [...things.origins], things.size]).toEqual([[], ["y"], 1]);
    things.delete(c);
    expect(things.oldestOfMost()).toBeUndefined();
  });

  it("have their turn by origin", () => {
    const things = new ByOrigin<{ origin: string; name: string }>();
    for (const origin of ["x", "y", "z"]) things.add(thing(origin, ""));
    things.pass("x");
    expect([...things.origins]).toEqual(["y", "z", "x"]);
  });
});
