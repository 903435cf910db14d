import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import {
  copyFileSync,
  existsSync,
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
import { readCapFile } from "../../src/rpc/net/cap-file.js";
import { freshId, Identity, IdentityError } from "../../src/rpc/net/identity.js";
import { formatFingerprint } from "../../src/rpc/net/sturdy-ref.js";
import { golden } from "../support/golden.js";

const GOLDEN = golden("state");

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "identity-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe("the key of a reference scheduler", () => {
  const expected = JSON.parse(readFileSync(join(GOLDEN, "expected.json"), "utf8")) as {
    fingerprint: string;
    derivedIds: Record<string, string>;
  };
  const identity = Identity.load(join(GOLDEN, "key.pem"));

  it("has the same fingerprint", () => {
    expect(formatFingerprint(identity.fingerprint)).toBe(expected.fingerprint);
  });

  it.each(Object.entries(expected.derivedIds))("has the same id for %s", (name, id) => {
    expect(Buffer.from(identity.derivedId(name)).toString("base64url")).toBe(id);
  });

  it.each(["admin", "pool-linux-arm32", "pool-linux-x86_64"])("opens %s.cap", (name) => {
    const ref = readCapFile(join(GOLDEN, `${name}.cap`));
    expect(ref.fingerprint).toEqual(identity.fingerprint);
    expect(ref.id).toEqual(identity.derivedId(name));
    expect(ref.address).toEqual({ kind: "tcp", host: "127.0.0.1", port: 9555 });
  });
});

describe("keys", () => {
  const kinds: [string, () => string][] = [
    ["PKCS#8 RSA", () => pem(rsa(), "pkcs8")],
    ["PKCS#1 RSA", () => pem(rsa(), "pkcs1")],
    ["PKCS#8 EC P-256", () => pem(ec("P-256"), "pkcs8")],
    ["SEC1 EC P-256", () => pem(ec("P-256"), "sec1")],
    ["SEC1 EC P-384", () => pem(ec("P-384"), "sec1")],
    ["Ed25519", () => pem(generateKeyPairSync("ed25519").privateKey, "pkcs8")],
  ];

  it.each(kinds)("%s: is read, and certified by itself", (_, make) => {
    const path = join(dir, "key.pem");
    writeFileSync(path, make());
    const identity = Identity.load(path);
    const certificate = new X509Certificate(identity.certificatePem);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.checkPrivateKey(createPrivateKey(readFileSync(path)))).toBe(true);
    expect(certificate.subject).toBe("CN=capnp");
    expect(certificate.issuer).toBe("CN=capnp");
    expect(certificate.validFrom).toBe("Jan  1 01:01:01 1970 GMT");
    expect(certificate.validTo).toBe("Dec 31 23:59:59 9999 GMT");
  });

  it("derives ids from the exact bytes of the file", () => {
    const path = join(dir, "key.pem");
    copyFileSync(join(GOLDEN, "key.pem"), path);
    const before = Identity.load(path);
    writeFileSync(path, "\n", { flag: "a" });
    const after = Identity.load(path);
    expect(after.fingerprint).toEqual(before.fingerprint);
    expect(after.derivedId("admin")).not.toEqual(before.derivedId("admin"));
  });

  it("that cannot be used are refused by name", () => {
    const path = join(dir, "key.pem");
    const refusal = () => {
      try {
        Identity.loadOrCreate(path);
      } catch (error) {
        expect(error).toBeInstanceOf(IdentityError);
        return String(error);
      }
      throw new Error("was not refused");
    };
    expect(() => Identity.load(path)).toThrow(`"${path}" does not exist`);
    writeFileSync(path, "not a key");
    expect(refusal()).toMatch(/key\.pem": expected a private key in PEM/);
    expect(readFileSync(path, "utf8")).toBe("not a key");
    const cipher = { cipher: "aes-256-cbc", passphrase: "secret" };
    writeFileSync(path, rsa().export({ type: "pkcs8", format: "pem", ...cipher }));
    expect(refusal()).toMatch(/it is encrypted; decrypt it first/);
    writeFileSync(path, rsa().export({ type: "pkcs1", format: "pem", ...cipher }));
    expect(refusal()).toMatch(/it is encrypted; decrypt it first/);
    writeFileSync(path, pem(generateKeyPairSync("x25519").privateKey, "pkcs8"));
    expect(refusal()).toMatch(/needs an RSA, EC or Ed25519 key; this one is x25519/);
    rmSync(path);
    expect(() => Identity.loadOrCreate(join(dir, "none", "key.pem"))).toThrow(/no directory/);
  });
});

describe("a new key", () => {
  it("is RSA 2048 in PKCS#8, for its owner only, and stays", () => {
    const path = join(dir, "key.pem");
    const log: string[] = [];
    const made = Identity.loadOrCreate(path, (line) => log.push(line));
    expect(log).toEqual([
      "Generating new private key…",
      `Generated key with hash ${formatFingerprint(made.fingerprint)}`,
    ]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, "utf8")).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect(createPrivateKey(readFileSync(path)).asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(readdirSync(dir)).toEqual(["key.pem"]);

    const again = Identity.loadOrCreate(path, (line) => log.push(line));
    expect(log).toHaveLength(2);
    expect(again.fingerprint).toEqual(made.fingerprint);
    expect(again.derivedId("admin")).toEqual(made.derivedId("admin"));
  });

  it("gives way to one that appeared while it was made", () => {
    const path = join(dir, "key.pem");
    const identity = Identity.loadOrCreate(path, () => {
      // Runs before the new key is written: another process is faster.
      if (!existsSync(path)) copyFileSync(join(GOLDEN, "key.pem"), path);
    });
    expect(identity.fingerprint).toEqual(Identity.load(join(GOLDEN, "key.pem")).fingerprint);
    expect(readdirSync(dir)).toEqual(["key.pem"]);
  });

  it('is not stored if the path is ""', () => {
    const first = Identity.loadOrCreate("");
    expect(first.fingerprint).not.toEqual(Identity.loadOrCreate("").fingerprint);
    expect(Identity.ephemeral().fingerprint).not.toEqual(Identity.ephemeral().fingerprint);
  });
});

it("fresh ids are 20 bytes and differ", () => {
  expect(freshId()).toHaveLength(20);
  expect(freshId()).not.toEqual(freshId());
});

function rsa(): KeyObject {
  return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
}

function ec(namedCurve: string): KeyObject {
  return generateKeyPairSync("ec", { namedCurve }).privateKey;
}

function pem(key: KeyObject, type: "pkcs8" | "pkcs1" | "sec1"): string {
  return key.export({ type: type as "pkcs8", format: "pem" }).toString();
}
