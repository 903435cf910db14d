/**
 * Who a vat is: a private key, known to others by the SHA-256 of its public half, and the ids
 * derived from it.
 *
 * A key file outlives everything: capability files contain its fingerprint and ids derived from its
 * exact bytes. So it is never rewritten, and a new one appears under its name complete or not at
 * all.
 */
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { canCertify, selfSignedCertificate } from "./certificate.js";
import { formatFingerprint } from "./sturdy-ref.js";

/** A key that cannot be read, used or written. The message names the file and what to do. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
}

/** Told what happens to keys, in words for the log. */
export type IdentityLog = (message: string) => void;

export class Identity {
  /** SHA-256 of the public key's DER SubjectPublicKeyInfo: 32 bytes. */
  readonly fingerprint: Uint8Array;
  readonly #privateKey: KeyObject;
  readonly #pem: Buffer;
  #certificate: string | undefined;

  /**
   * `pem` is kept byte for byte: the derived ids depend on it, white space included. Throws
   * `IdentityError`.
   */
  private constructor(pem: Buffer, origin: string) {
    this.#pem = pem;
    this.#privateKey = parseKey(pem, origin);
    const spki = createPublicKey(this.#privateKey).export({ type: "spki", format: "der" });
    this.fingerprint = createHash("sha256").update(spki).digest();
  }

  /** Reads a PEM file: PKCS#8, PKCS#1 RSA or SEC1 EC, unencrypted. Throws `IdentityError`. */
  static load(path: string): Identity {
    const pem = readKeyFile(path);
    if (pem === undefined) throw new IdentityError(`Secret key file "${path}" does not exist`);
    return new Identity(pem, `secret key file "${path}"`);
  }

  /**
   * Reads the key in `path`, or makes one there (RSA 2048, PKCS#8 PEM, mode 0600) if there is no
   * such file; `""` means a key that is not stored. Of two processes that create the same file at
   * once, both use the one that was there first. Takes some 150 ms if a key is made. Throws
   * `IdentityError`.
   */
  static loadOrCreate(path: string, log: IdentityLog = () => {}): Identity {
    const existing = path === "" ? undefined : readKeyFile(path);
    if (existing) return new Identity(existing, `secret key file "${path}"`);
    log("Generating new private key…");
    const pem = generateRsa();
    const identity = new Identity(path === "" ? pem : createKeyFile(path, pem), "the new key");
    log(`Generated key with hash ${formatFingerprint(identity.fingerprint)}`);
    return identity;
  }

  /**
   * A new key, not stored: for vats that only dial out. It is an elliptic-curve one (P-256), as
   * that takes 0.2 ms to make where RSA takes 150 ms, and makes handshakes cheaper for both sides.
   */
  static ephemeral(): Identity {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" });
    return new Identity(Buffer.from(pem), "the new key");
  }

  /**
   * The id of a service that needs no store: the same for the same key file and name, and not to be
   * guessed. 32 raw bytes, HMAC-SHA256(key = SHA-256(the file's bytes), name), as capnp-rpc's
   * `Vat_config.derived_id`.
   */
  derivedId(name: string): Uint8Array {
    const secret = createHash("sha256").update(this.#pem).digest();
    return createHmac("sha256", secret).update(name, "utf8").digest();
  }

  /** The private key as PEM. */
  get keyPem(): string {
    return this.#pem.toString("latin1");
  }

  /** A certificate for the key, signed with itself, as PEM. */
  get certificatePem(): string {
    this.#certificate ??= selfSignedCertificate(this.#privateKey);
    return this.#certificate;
  }
}

/** A new service id, not to be guessed: 20 random bytes. */
export function freshId(): Uint8Array {
  return randomBytes(20);
}

function generateRsa(): Buffer {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return Buffer.from(privateKey.export({ type: "pkcs8", format: "pem" }));
}

function parseKey(pem: Buffer, origin: string): KeyObject {
  if (/^-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(pem.toString("latin1"))) {
    throw new IdentityError(
      `Cannot use ${origin}: it is encrypted; decrypt it first, for instance with \`openssl pkey\``,
    );
  }
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: "pem" });
  } catch (error) {
    throw new IdentityError(
      `Cannot use ${origin}: expected a private key in PEM (BEGIN PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY)`,
      { cause: error },
    );
  }
  if (!canCertify(key)) {
    throw new IdentityError(
      `Cannot use ${origin}: TLS needs an RSA, EC or Ed25519 key; this one is ${key.asymmetricKeyType}`,
    );
  }
  return key;
}

/** The file's bytes, or undefined if there is none. */
function readKeyFile(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new IdentityError(`Cannot read secret key file "${path}": ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/**
 * Puts `pem` at `path` unless there is a file already; returns the bytes that are there in the end.
 */
function createKeyFile(path: string, pem: Buffer): Buffer {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const fd = openSync(temporary, "wx", 0o600);
    try {
      writeSync(fd, pem);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    try {
      linkSync(temporary, path); // unlike rename, never replaces a key that another process just made
      return pem;
    } catch (error) {
      const winner = readKeyFile(path);
      if (winner) return winner;
      throw error;
    } finally {
      unlinkSync(temporary);
    }
  } catch (error) {
    if (error instanceof IdentityError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const reason =
      code === "ENOENT" ? `there is no directory "${dirname(path)}"; create it` : message;
    throw new IdentityError(`Cannot write secret key file "${path}": ${reason}`, { cause: error });
  }
}
