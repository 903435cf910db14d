/**
 * Descriptions of jobs at rest. They hold secrets, and a database is copied to where the
 * scheduler's key is not.
 *
 *     nonce (12 bytes) · AES-256-GCM of the description, with the job's id as associated data · tag (16 bytes)
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

const NONCE = 12;
const TAG = 16;
/** By how many bytes a sealed description is longer. */
export const SEAL = NONCE + TAG;
const CIPHER = "aes-256-gcm";

/** `key`: 32 bytes. The id keeps one job's description from being passed off as another's. */
export function seal(key: Uint8Array, job: number, description: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(idBytes(job));
  return Buffer.concat([nonce, cipher.update(description), cipher.final(), cipher.getAuthTag()]);
}

/** Throws an `Error` if the key is another one, or something was changed. */
export function unseal(key: Uint8Array, job: number, sealed: Uint8Array): Buffer {
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE)).setAAD(idBytes(job));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  const body = sealed.subarray(NONCE, sealed.length - TAG);
  return Buffer.concat([decipher.update(body), decipher.final()]);
}

function idBytes(job: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(job));
  return bytes;
}
