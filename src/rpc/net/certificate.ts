/**
 * The certificate that TLS wants of both ends. It says nothing but the public key: peers compare
 * that key's digest and ignore the rest. Node can sign but not make certificates, so the structure
 * (RFC 5280, X.509 v3 without extensions) is built with node-forge's ASN.1 and signed with the
 * system's OpenSSL, which works for every kind of key.
 */
import { createPublicKey, type KeyObject, randomBytes, sign } from "node:crypto";
import asn1 from "node-forge/lib/asn1.js";

type Asn1 = ReturnType<typeof asn1.create>;

const { Type } = asn1;

/**
 * Signature algorithms by type of key: object identifier, whether its parameters are a NULL, digest
 * to sign.
 */
const SIGNATURES: Record<string, { oid: string; parameters: boolean; hash: string | null }> = {
  rsa: { oid: "1.2.840.113549.1.1.11", parameters: true, hash: "sha256" }, // sha256WithRSAEncryption
  ec: { oid: "1.2.840.10045.4.3.2", parameters: false, hash: "sha256" }, // ecdsa-with-SHA256
  ed25519: { oid: "1.3.101.112", parameters: false, hash: null },
};

/** Whether a key is of a kind that `selfSignedCertificate` can use: RSA, EC or Ed25519. */
export function canCertify(privateKey: KeyObject): boolean {
  return (privateKey.asymmetricKeyType ?? "") in SIGNATURES;
}

/**
 * A certificate for `privateKey`, signed with it, as PEM: subject and issuer `CN=capnp`, valid from
 * 1970-01-01 01:01:01 to 9999-12-31 23:59:59 (RFC 5280's "no expiration date"), like those of
 * capnp-rpc. Throws `TypeError` unless `canCertify` the key.
 */
export function selfSignedCertificate(privateKey: KeyObject): string {
  const signature = SIGNATURES[privateKey.asymmetricKeyType ?? ""];
  if (!signature) throw new TypeError(`No certificates for ${privateKey.asymmetricKeyType} keys`);
  const algorithm = sequence(
    primitive(Type.OID, asn1.oidToDer(signature.oid).getBytes()),
    ...(signature.parameters ? [primitive(Type.NULL, "")] : []),
  );
  const name = sequence(
    constructed(Type.SET, [
      sequence(
        primitive(Type.OID, asn1.oidToDer("2.5.4.3").getBytes()), // commonName
        primitive(Type.UTF8, "capnp"),
      ),
    ]),
  );
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x3f) | 0x40; // positive, and no leading zero byte
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const tbs = sequence(
    asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, true, [primitive(Type.INTEGER, "\x02")]), // v3
    primitive(Type.INTEGER, serial.toString("latin1")),
    algorithm,
    name,
    sequence(
      primitive(Type.UTCTIME, "700101010101Z"),
      primitive(Type.GENERALIZEDTIME, "99991231235959Z"),
    ),
    name,
    asn1.fromDer(spki.toString("latin1")),
  );
  const signed = sign(signature.hash, encode(tbs), privateKey);
  const certificate = sequence(
    tbs,
    algorithm,
    primitive(Type.BITSTRING, `\0${signed.toString("latin1")}`),
  );
  const base64 = encode(certificate)
    .toString("base64")
    .replace(/.{64}(?!$)/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}

function primitive(type: number, bytes: string): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, type, false, bytes);
}

function constructed(type: number, parts: Asn1[]): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, type, true, parts);
}

function sequence(...parts: Asn1[]): Asn1 {
  return constructed(Type.SEQUENCE, parts);
}

function encode(value: Asn1): Buffer {
  return Buffer.from(asn1.toDer(value).getBytes(), "latin1");
}
