/**
 * A sturdy ref: where a service is found, how its vat proves who it is, and the secret id that
 * opens the service. Its text is a `capnp://` URI; whoever has it may use the service, so it goes
 * into files of mode 0600 and not into logs.
 *
 *     capnp://sha-256:DIGEST@HOST:PORT/ID      TCP + TLS
 *     capnp://sha-256:DIGEST@/PATH/ID          the same on a unix socket
 *     capnp://insecure@HOST:PORT/ID            no TLS
 *
 * DIGEST and ID are base64url without padding; DIGEST is the SHA-256 of the vat's public key
 * (`Identity.fingerprint`); ID may be empty (the vat's default service). The form is that of
 * capnp-rpc's `Capnp_address`.
 */
import { inspect } from "node:util";
import {
  type Address,
  AddressError,
  formatAddress,
  formatHostPort,
  parseHostPort,
} from "./address.js";

/**
 * Text that is no sturdy ref. The message says which part is missing or malformed; it never quotes
 * the secret.
 */
export class SturdyRefError extends Error {
  override readonly name = "SturdyRefError";
}

export class SturdyRef {
  constructor(
    readonly address: Address,
    /**
     * SHA-256 (32 bytes) of the vat's public key, DER SubjectPublicKeyInfo; undefined: no TLS
     * ("insecure").
     */
    readonly fingerprint: Uint8Array | undefined,
    /** The raw bytes of the service's id; empty for the default service. */
    readonly id: Uint8Array,
  ) {}

  /** Reads a URI. Throws `SturdyRefError`. */
  static parse(uri: string): SturdyRef {
    const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(uri)?.[1];
    if (scheme === undefined) throw new SturdyRefError("Missing scheme (expected 'capnp://...')");
    if (scheme.toLowerCase() !== "capnp" || !uri.startsWith("//", scheme.length + 1)) {
      throw new SturdyRefError(`Unknown scheme "${scheme}:" (expected 'capnp://...')`);
    }
    const rest = uri.slice(scheme.length + 3);
    const slash = rest.indexOf("/");
    const authority = slash < 0 ? rest : rest.slice(0, slash);
    const path = slash < 0 ? "" : rest.slice(slash);
    const at = authority.lastIndexOf("@");
    if (at < 0) {
      throw new SturdyRefError(
        "Missing digest hash type (expected 'capnp://sha-256:DIGEST@...'); the text may have been cut",
      );
    }
    const fingerprint = parseFingerprint(authority.slice(0, at));
    const hostPort = authority.slice(at + 1);
    if (hostPort !== "") {
      return new SturdyRef(parseTcp(hostPort), fingerprint, decode("service ID", path.slice(1)));
    }
    const idAt = path.lastIndexOf("/");
    if (idAt <= 0) throw new SturdyRefError("Missing HOST:PORT or socket path after '@'");
    const socket: Address = { kind: "unix", path: percentDecode(path.slice(0, idAt)) };
    return new SturdyRef(socket, fingerprint, decode("service ID", path.slice(idAt + 1)));
  }

  /** The URI, secret included: for cap files and for who asked for the reference. */
  format(): string {
    const auth = this.fingerprint ? `sha-256:${base64url(this.fingerprint)}` : "insecure";
    const place =
      this.address.kind === "unix"
        ? percentEncode(this.address.path)
        : formatHostPort(this.address);
    return `capnp://${auth}@${place}/${base64url(this.id)}`;
  }

  /** Without the secret, so that no log shows it by accident. See `format`. */
  toString(): string {
    return `service at ${formatAddress(this.address)}`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return `SturdyRef <${this.toString()}>`;
  }
}

/** How a public key's digest is written in logs and messages: `sha-256@DIGEST`. */
export function formatFingerprint(fingerprint: Uint8Array): string {
  return `sha-256@${base64url(fingerprint)}`;
}

function parseFingerprint(text: string): Uint8Array | undefined {
  if (text === "insecure") return undefined;
  const colon = text.indexOf(":");
  const hash = colon < 0 ? text : text.slice(0, colon);
  if (hash === "") {
    throw new SturdyRefError(
      "Missing digest hash type (expected 'capnp://sha-256:DIGEST@...' or 'capnp://insecure@...')",
    );
  }
  if (colon < 0) {
    throw new SturdyRefError(
      "Missing digest value (expected 'capnp://sha-256:DIGEST@...' or 'capnp://insecure@...')",
    );
  }
  if (hash !== "sha-256") {
    throw new SturdyRefError(`Unknown hash type "${hash}" (expected sha-256)`);
  }
  const digest = decode("digest", text.slice(colon + 1));
  if (digest.length !== 32) {
    throw new SturdyRefError(`The digest is ${digest.length} bytes long; SHA-256 has 32`);
  }
  return digest;
}

function parseTcp(text: string): Address {
  try {
    const { host, port } = parseHostPort(text);
    if (port === 0) throw new SturdyRefError(`Bad port "0" in "${text}"`);
    return { kind: "tcp", host, port };
  } catch (error) {
    if (error instanceof AddressError) throw new SturdyRefError(error.message);
    throw error;
  }
}

function decode(what: string, text: string): Uint8Array {
  // Four characters carry three bytes; a single one left over carries none, so the text must have
  // been cut.
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) {
    throw new SturdyRefError(`The ${what} is not base64url (A-Z a-z 0-9 - _, no padding)`);
  }
  return Buffer.from(text, "base64url");
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");
}

/**
 * RFC 3986: everything but unreserved characters, sub-delims, ":", "@" and "/" is escaped in a
 * path.
 */
function percentEncode(path: string): string {
  return encodeURI(path).replace(
    /[?#[\]]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function percentDecode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new SturdyRefError(`Bad percent-encoding in the socket path "${path}"`);
  }
}
