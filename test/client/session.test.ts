/** From a capability file to a service, and what users read when there is no way there. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import * as Admin from "../../src/api/admin.js";
import { withService } from "../../src/client/session.js";
import {
  brokenCapability,
  type Listener,
  leakedReferences,
  RpcError,
  Vat,
  writeCapFile,
} from "../../src/rpc/index.js";

const ID = Buffer.from("the right secret");

let dir: string;
let scheduler: Vat;
let listener: Listener;
let stderr: string;
let restored: number;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-session-"));
  scheduler = new Vat({
    restore: (id) => {
      restored++;
      if (!ID.equals(id)) throw new RpcError("failed", "Unknown persistent service ID");
      return Admin.local({
        pools: () => ["a", "b"],
        pool: () => brokenCapability(new RpcError("failed", "No such pool")),
        addClient: () => brokenCapability(new RpcError("failed", "Full")),
        removeClient: () => {},
        listClients: () => [],
      });
    },
  });
  listener = await scheduler.listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, { tls: true });
});

afterAll(async () => {
  await scheduler.close();
  rmSync(dir, { recursive: true });
});

beforeEach(() => {
  stderr = "";
  restored = 0;
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    stderr += text;
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  expect(leakedReferences()).toBe(0);
});

function cap(name: string, uri?: string): string {
  const path = join(dir, `${name}.cap`);
  if (uri === undefined) writeCapFile(path, scheduler.sturdyRef(listener, ID));
  else writeFileSync(path, uri);
  return path;
}

function uri(): string {
  return scheduler.sturdyRef(listener, ID).format();
}

function place(): string {
  return uri().replace(/.*@(.*)\/.*/, "tcp:$1");
}

test("a session gives the service, and hangs up afterwards", async () => {
  expect(await withService(cap("admin"), (admin) => Admin.pools(admin))).toEqual(["a", "b"]);
  expect(stderr).toBe(`Connecting to ${place()}... OK\n`);
  expect(restored).toBe(1);
});

test("what the work throws comes through, and the session ends", async () => {
  const failing = withService(cap("admin"), async (admin) => {
    using pool = Admin.pool(admin, "none");
    await pool.whenResolved();
  });
  await expect(failing).rejects.toEqual(new RpcError("failed", "No such pool"));
});

test.each<[string, () => string, RegExp, string]>([
  [
    "a wrong secret",
    () => uri().replace(/[^/]*$/, "AAAA"),
    /^Cannot use capability file ".*bad\.cap": Failed: Unknown persistent service ID\n.*\nAsk the scheduler's operator/,
    "OK",
  ],
  [
    "a wrong fingerprint",
    () => uri().replace(/sha-256:..../, "sha-256:AAAA"),
    /^Cannot use capability file ".*bad\.cap": Failed: .* expected fingerprint sha-256@AAAA.*, got sha-256@/,
    "ERROR",
  ],
  [
    "nobody listening",
    () => uri().replace(/:\d+\//, ":1/"),
    /^Cannot use capability file ".*bad\.cap": Disconnected: Cannot connect to tcp:127\.0\.0\.1:1: /,
    "ERROR",
  ],
])("%s: the file and the reason are named", async (_, bad, message, outcome) => {
  const use = vi.fn();
  await expect(withService(cap("bad", bad()), use)).rejects.toMatchObject({
    name: "CommandFailed",
    message: expect.stringMatching(message),
  });
  expect(stderr).toMatch(new RegExp(`^Connecting to tcp:127.0.0.1:\\d+\\.\\.\\. ${outcome}\\n$`));
  expect(use).not.toHaveBeenCalled();
});

test("a malformed file is not even tried", async () => {
  await expect(withService(cap("cut", "capnp://sha-2"), vi.fn())).rejects.toMatchObject({
    name: "CapFileError",
    message: expect.stringMatching(/cut\.cap.*Missing digest hash type/),
  });
  expect(stderr).toBe("");
});
