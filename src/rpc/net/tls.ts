/**
 * TLS between vats. Certificates carry keys and nothing else: both ends present one, nobody asks
 * who signed it, and what counts is the digest of the public key in it (capnp-rpc's `Auth`). So
 * OpenSSL is told to accept everything and the key is looked at here, before anything of the
 * conversation is sent or read.
 */
import { createHash, type X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { connect, createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { RpcError } from "../errors.js";
import type { Identity } from "./identity.js";
import { formatFingerprint } from "./sturdy-ref.js";

/**
 * A connection whose peer has proved that it holds the private key with this digest (see
 * `Identity.fingerprint`).
 */
export interface SecuredSocket {
  readonly socket: TLSSocket;
  readonly fingerprint: Uint8Array;
}

const contexts = new WeakMap<Identity, SecureContext>();

function contextOf(identity: Identity): SecureContext {
  let context = contexts.get(identity);
  if (!context) {
    context = createSecureContext({
      key: identity.keyPem,
      cert: identity.certificatePem,
      ca: [], // no authority is asked; leaving it out would load the system's 140 root certificates
      minVersion: "TLSv1.2",
      sessionIdContext: "capnp", // without one, OpenSSL breaks off with clients that resume a session
    });
    contexts.set(identity, context);
  }
  return context;
}

/**
 * The server's side of a handshake on a fresh connection. Any key will do, but there must be one.
 * Rejects with a "failed" `RpcError`, "disconnected" if the peer went away; `socket` is destroyed
 * then. Destroying `socket` ends it too.
 */
export function acceptTls(socket: Socket, identity: Identity): Promise<SecuredSocket> {
  const secured = new TLSSocket(socket, {
    isServer: true,
    secureContext: contextOf(identity),
    requestCert: true,
    rejectUnauthorized: false,
  });
  return handshake(secured, "secure");
}

/**
 * The client's side. Rejects like `acceptTls`, and if the server's key is not the `expected` one;
 * nothing but the handshake has been sent then. `description` is the server's address, for
 * messages.
 */
export async function dialTls(
  socket: Socket,
  identity: Identity,
  expected: Uint8Array,
  description: string,
): Promise<SecuredSocket> {
  const secured = await handshake(
    connect({ socket, secureContext: contextOf(identity), rejectUnauthorized: false }),
    "secureConnect",
  );
  if (Buffer.compare(secured.fingerprint, expected) !== 0) {
    secured.socket.destroy();
    throw new RpcError(
      "failed",
      `The server at ${description} has another key than the capability asks for: expected fingerprint ` +
        `${formatFingerprint(expected)}, got ${formatFingerprint(secured.fingerprint)}. The capability is for another ` +
        "server or for one whose key was replaced since; get a fresh one from its operator",
      { code: "wrong-key" },
    );
  }
  return secured;
}

function handshake(socket: TLSSocket, done: "secure" | "secureConnect"): Promise<SecuredSocket> {
  return new Promise((resolve, reject) => {
    const fail = (error: RpcError) => {
      socket.destroy();
      reject(error);
    };
    const onError = (error: TlsError) => fail(handshakeError(error));
    const onClose = () => fail(handshakeError());
    socket.on("error", onError);
    socket.on("close", onClose);
    socket.once(done, () => {
      const fingerprint = fingerprintOf(socket.getPeerX509Certificate());
      if (!fingerprint) {
        fail(
          new RpcError("failed", "TLS connection failed: the peer presented no usable certificate"),
        );
        return;
      }
      socket.off("error", onError);
      socket.off("close", onClose);
      resolve({ socket, fingerprint });
    });
  });
}

/**
 * Node adds OpenSSL's own words to its errors as `reason`; the message is full of code positions.
 */
type TlsError = NodeJS.ErrnoException & { readonly reason?: string };

function handshakeError(error?: TlsError): RpcError {
  if (!error || error.code === "ECONNRESET" || error.code === "EPIPE") {
    return new RpcError("disconnected", "TLS connection failed: the peer ended the connection", {
      cause: error,
    });
  }
  const hint =
    error.code === "ERR_SSL_WRONG_VERSION_NUMBER" || error.code === "ERR_SSL_HTTP_REQUEST"
      ? " (the peer does not speak TLS)"
      : "";
  return new RpcError("failed", `TLS connection failed: ${error.reason ?? error.message}${hint}`, {
    cause: error,
  });
}

function fingerprintOf(certificate: X509Certificate | undefined): Uint8Array | undefined {
  if (!certificate) return undefined;
  try {
    const spki = certificate.publicKey.export({ type: "spki", format: "der" });
    return createHash("sha256").update(spki).digest();
  } catch {
    return undefined; // a kind of key that this OpenSSL does not know
  }
}
