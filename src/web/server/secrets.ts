/**
 * The texts that open the page and the API: one-time links, links to one job or batch, sessions and
 * tokens. Each says what it is for and until when, and bears a signature; nothing has to be kept of
 * them, so that sessions outlive this process.
 *
 *     ow1.PAYLOAD.MAC        both base64url; MAC is HMAC-SHA256 of what stands before its dot
 *
 * The key comes from the secret in the capability file: who has the file may do all that a text
 * opens, and whoever gets another file has another key, so that removing a client or viewer ends
 * what was made of its file.
 */
import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";
import type { SturdyRef } from "../../rpc/index.js";

/** What a text is: it opens nothing else. */
export type SecretKind = "once" | "link" | "session" | "token";

/** What is shown. */
export type Scope =
  | { readonly kind: "all" }
  | { readonly kind: "job"; readonly job: number }
  | { readonly kind: "batch"; readonly batch: number };

export interface Secret {
  readonly kind: SecretKind;
  readonly scope: Scope;
  /** Tells it from all others. */
  readonly id: string;
  /** When it was made, and when it ends: seconds since the Unix epoch. */
  readonly made: number;
  readonly expires: number;
}

const PREFIX = "ow1";

/** Characters of a text; the longest there is has some 200. */
const MAX_LENGTH = 1000;

const KINDS: readonly SecretKind[] = ["once", "link", "session", "token"];

export class Secrets {
  readonly #key: Buffer;

  /** @param ref what is in the capability file */
  constructor(ref: SturdyRef) {
    const salt = ref.fingerprint ?? new Uint8Array(0);
    this.#key = Buffer.from(hkdfSync("sha256", ref.id, salt, "ocluster-web secrets 1", 32));
  }

  /** @param seconds for which it lasts */
  make(
    kind: SecretKind,
    scope: Scope,
    seconds: number,
    now = Date.now() / 1000,
  ): { readonly text: string; readonly secret: Secret } {
    const id = randomBytes(12).toString("base64url");
    const secret: Secret = { kind, scope, id, made: now, expires: now + seconds };
    const payload = Buffer.from(JSON.stringify(secret)).toString("base64url");
    return { text: `${PREFIX}.${payload}.${this.#mac(payload).toString("base64url")}`, secret };
  }

  /**
   * What a text is, expired or not; null if it is none of ours. It takes as long if it nearly is.
   */
  read(text: string): Secret | null {
    if (text.length > MAX_LENGTH) return null;
    const [prefix, payload, mac, ...rest] = text.split(".");
    if (prefix !== PREFIX || payload === undefined || mac === undefined || rest.length > 0) {
      return null;
    }
    const given = Buffer.from(mac, "base64url");
    const right = this.#mac(payload);
    if (given.length !== right.length || !timingSafeEqual(given, right)) return null;
    const secret = JSON.parse(Buffer.from(payload, "base64url").toString()) as Secret;
    return KINDS.includes(secret.kind) ? secret : null;
  }

  #mac(payload: string): Buffer {
    return createHmac("sha256", this.#key).update(`${PREFIX}.${payload}`).digest();
  }
}
