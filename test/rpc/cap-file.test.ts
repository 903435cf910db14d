import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CapFileError } from "../../src/rpc/errors.js";
import { readCapFile, writeCapFile } from "../../src/rpc/net/cap-file.js";
import { SturdyRef } from "../../src/rpc/net/sturdy-ref.js";

const URI =
  "capnp://sha-256:EBgTeMkqREIXEwNi67awykN8AAWAxIWs3J-V8U7e02Q@127.0.0.1:9555/Ot6nLv1hYh_oWi67Csl9ZrHIjxM";

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "cap-file-"));
  path = join(dir, "x.cap");
});
afterEach(() => rmSync(dir, { recursive: true }));

function problemOf(action: () => unknown): { problem: string; message: string } {
  try {
    action();
  } catch (error) {
    if (error instanceof CapFileError) return { problem: error.problem, message: error.message };
    throw error;
  }
  throw new Error("nothing was wrong");
}

describe("writing", () => {
  it("gives one line that only the owner can read", () => {
    writeCapFile(path, SturdyRef.parse(URI));
    expect(readFileSync(path, "utf8")).toBe(`${URI}\n`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir)).toEqual(["x.cap"]);
  });

  it("replaces an older file", () => {
    writeFileSync(path, "old", { mode: 0o644 });
    writeCapFile(path, SturdyRef.parse(URI));
    expect(readCapFile(path).format()).toBe(URI);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("says why it cannot, and leaves nothing behind", () => {
    const missing = join(dir, "none", "x.cap");
    expect(problemOf(() => writeCapFile(missing, SturdyRef.parse(URI)))).toEqual({
      problem: "unwritable",
      message: `Cannot write capability file "${missing}": there is no directory "${join(dir, "none")}"`,
    });
    mkdirSync(path);
    expect(problemOf(() => writeCapFile(path, SturdyRef.parse(URI))).problem).toBe("unwritable");
    expect(readdirSync(dir)).toEqual(["x.cap"]);
  });
});

describe("reading", () => {
  it.each(["", "\n", "\r\n", "  \n\n"])("does not mind white space (%j)", (space) => {
    writeFileSync(path, space + URI + space);
    expect(readCapFile(path).format()).toBe(URI);
  });

  it("tells a missing file from one that cannot be read", () => {
    expect(problemOf(() => readCapFile(path))).toEqual({
      problem: "missing",
      message: `Capability file "${path}" does not exist`,
    });
    expect(problemOf(() => readCapFile(dir)).problem).toBe("unreadable");
  });

  it.each([
    ["", /the file is empty/],
    [URI.slice(0, 30), /Missing digest hash type/],
    ["-----BEGIN PRIVATE KEY-----\n", /Missing scheme/],
    [`${URI}\n${URI}`, /service ID is not base64url/],
    ["x".repeat(100_000), /too long/],
  ])("names the file and what is wrong in it", (content, reason) => {
    writeFileSync(path, content);
    const { problem, message } = problemOf(() => readCapFile(path));
    expect(problem).toBe("malformed");
    expect(message).toContain(`"${path}"`);
    expect(message).toMatch(reason);
  });
});
