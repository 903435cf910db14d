import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SturdyRef, SturdyRefError } from "../../src/rpc/net/sturdy-ref.js";

const DIGEST = "EBgTeMkqREIXEwNi67awykN8AAWAxIWs3J-V8U7e02Q";
const ID = "Ot6nLv1hYh_oWi67Csl9ZrHIjxM";

describe("sturdy refs", () => {
  it.each([
    `capnp://sha-256:${DIGEST}@127.0.0.1:9555/${ID}`,
    `capnp://sha-256:${DIGEST}@[::1]:9555/${ID}`,
    `capnp://sha-256:${DIGEST}@/run/ocluster.socket/${ID}`,
    `capnp://sha-256:${DIGEST}@/run/50%25%20full%3F/s/${ID}`,
    `capnp://insecure@scheduler:9000/${ID}`,
    "capnp://insecure@scheduler:9000/",
    `capnp://insecure@/run/ocluster.socket/${ID}`,
  ])("%s is read and written back", (uri) => {
    expect(SturdyRef.parse(uri).format()).toBe(uri);
  });

  it("has its parts", () => {
    const ref = SturdyRef.parse(`capnp://sha-256:${DIGEST}@/run/50%25%20full/s/${ID}`);
    expect(ref.address).toEqual({ kind: "unix", path: "/run/50% full/s" });
    expect(Buffer.from(ref.fingerprint!).toString("base64url")).toBe(DIGEST);
    expect(Buffer.from(ref.id).toString("base64url")).toBe(ID);
    expect(SturdyRef.parse("capnp://insecure@h:1").id).toHaveLength(0);
  });

  it("survives writing and reading, whatever its id and path", () => {
    const path = fc
      .array(fc.string({ unit: "binary", minLength: 1 }), { minLength: 1 })
      .map((names) => `/${names.join("/")}`);
    const address = fc.oneof(
      fc.record({ kind: fc.constant("unix" as const), path }),
      fc.record({
        kind: fc.constant("tcp" as const),
        host: fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6()),
        port: fc.integer({ min: 1, max: 65535 }),
      }),
    );
    const digest = fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 }), { nil: undefined });
    fc.assert(
      fc.property(address, digest, fc.uint8Array(), (address, fingerprint, id) => {
        const read = SturdyRef.parse(new SturdyRef(address, fingerprint, id).format());
        expect(read.address).toEqual(address);
        expect(read.fingerprint && [...read.fingerprint]).toEqual(fingerprint && [...fingerprint]);
        expect([...read.id]).toEqual([...id]);
      }),
    );
  });

  it.each([
    ["", /^Missing scheme/],
    ["sha-256", /^Missing scheme/],
    ["http://insecure@h:1/", /^Unknown scheme "http:"/],
    ["capnp:insecure", /expected 'capnp:\/\//],
    [`capnp://sha-256:${DIGEST.slice(0, 20)}`, /^Missing digest hash type/],
    ["capnp://@h:1/", /^Missing digest hash type/],
    ["capnp://sha-256@h:1/", /^Missing digest value/],
    [`capnp://md5:${DIGEST}@h:1/`, /^Unknown hash type "md5"/],
    [`capnp://sha-256:${DIGEST.slice(0, 20)}@h:1/`, /^The digest is 15 bytes long/],
    [`capnp://sha-256:${DIGEST}==@h:1/`, /^The digest is not base64url/],
    [`capnp://sha-256:${DIGEST}@`, /^Missing HOST:PORT or socket path/],
    [`capnp://sha-256:${DIGEST}@/${ID}`, /^Missing HOST:PORT or socket path/],
    [`capnp://sha-256:${DIGEST}@host/${ID}`, /^Missing port/],
    [`capnp://sha-256:${DIGEST}@:9000/${ID}`, /^Missing host/],
    [`capnp://sha-256:${DIGEST}@host:0/${ID}`, /^Bad port/],
    [`capnp://sha-256:${DIGEST}@host:1/${ID}=`, /^The service ID is not base64url/],
    [`capnp://sha-256:${DIGEST}@host:1/${ID}/x`, /^The service ID is not base64url/],
    [`capnp://sha-256:${DIGEST}@/run/%zz/${ID}`, /^Bad percent-encoding/],
  ])("%s is refused with the reason", (uri, reason) => {
    expect(() => SturdyRef.parse(uri)).toThrow(SturdyRefError);
    expect(() => SturdyRef.parse(uri)).toThrow(reason);
  });

  it("does not show its secret in logs", () => {
    const ref = SturdyRef.parse(`capnp://sha-256:${DIGEST}@127.0.0.1:9555/${ID}`);
    for (const text of [`${ref}`, inspect(ref), inspect({ ref }), JSON.stringify({ ref })]) {
      expect(text).not.toContain(ID);
      expect(text).toContain("tcp:127.0.0.1:9555");
    }
  });

  it("does not show its secret in errors", () => {
    for (let end = 0; end < 30; end++) {
      try {
        SturdyRef.parse(`capnp://sha-256:${DIGEST}@127.0.0.1:9555/${ID}!`.slice(end));
      } catch (error) {
        expect(String(error)).not.toContain(ID);
      }
    }
  });
});
