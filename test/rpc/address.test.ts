import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { AddressError, formatAddress, parseAddress } from "../../src/rpc/net/address.js";

describe("addresses", () => {
  it.each([
    ["tcp:127.0.0.1:9000", { kind: "tcp", host: "127.0.0.1", port: 9000 }],
    ["tcp:scheduler.example.org:9000", { kind: "tcp", host: "scheduler.example.org", port: 9000 }],
    ["tcp:0.0.0.0:0", { kind: "tcp", host: "0.0.0.0", port: 0 }],
    ["tcp:[::1]:9000", { kind: "tcp", host: "::1", port: 9000 }],
    ["unix:/run/ocluster.socket", { kind: "unix", path: "/run/ocluster.socket" }],
    ["unix:/odd:name/s", { kind: "unix", path: "/odd:name/s" }],
  ])("%s is read and written back", (text, address) => {
    expect(parseAddress(text)).toEqual(address);
    expect(formatAddress(parseAddress(text))).toBe(text);
  });

  it("understands an IPv6 host without brackets, and writes it with them", () => {
    expect(formatAddress(parseAddress("tcp:::1:9000"))).toBe("tcp:[::1]:9000");
  });

  it("takes a relative socket path from the current directory", () => {
    expect(parseAddress("unix:x.socket")).toEqual({ kind: "unix", path: resolve("x.socket") });
  });

  it.each([
    ["9000", /Missing ':'/],
    ["http://127.0.0.1:9000", /Unknown kind of address/],
    ["tcp:127.0.0.1", /Missing port/],
    ["tcp:[::1]", /Missing port/],
    ["tcp::9000", /Missing host/],
    ["tcp:[nonsense]:1", /Bad host/],
    ["tcp:a:b:9000", /Bad host/],
    ["tcp:two words:1", /Bad host/],
    ["tcp:host:http", /Bad port "http"/],
    ["tcp:host:65536", /Bad port "65536"/],
    ["tcp:host:-1", /Bad port/],
    ["unix:", /Missing PATH/],
    [`unix:/${"a".repeat(107)}`, /is 108 bytes long; a socket's can have 107$/],
  ])("%s is refused with the reason", (text, reason) => {
    expect(() => parseAddress(text)).toThrow(AddressError);
    expect(() => parseAddress(text)).toThrow(reason);
  });
});
