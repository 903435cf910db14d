/**
 * Named capabilities that administrators hand out for programs that help to run the cluster, each
 * of some kind: what a kind opens is up to who offers it. They are kept beside those of clients, by
 * the hash of their secrets, and can be taken back.
 *
 * The states of one: *granted*, for as long as it is on file; then *revoked*, for good: whoever
 * still holds its service is refused at the next call. One of the same name that is granted later
 * is another one.
 */
import { createHash } from "node:crypto";
import type { Grants as Api } from "../../api/index.js";
import type { Logger } from "../../console/index.js";
import { type Capability, freshId, RpcError, type SturdyRef } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import type { Store } from "../state/store.js";

/** What one secret opens, until it is revoked. */
export class Grant {
  isRevoked = false;

  constructor(readonly name: string) {}

  /** Throws an `RpcError` (failed) if it has been revoked: to be called first by each method. */
  check(): void {
    if (this.isRevoked) throw new RpcError("failed", "Access has been revoked");
  }
}

export interface GrantsOptions {
  readonly store: Store;
  /** Makes the service of each kind, owned by the caller. */
  readonly kinds: Readonly<Record<string, (grant: Grant) => Capability>>;
  sturdyRef(secret: Uint8Array): SturdyRef;
  readonly log: Logger;
}

/** Longest name, in characters. */
const NAME_LENGTH = 255;

export class Grants implements Api.GrantsService {
  /** Those that were asked for, by the secret's hash in hexadecimal. */
  private readonly known = new Map<string, { readonly kind: string; readonly grant: Grant }>();

  constructor(private readonly options: GrantsOptions) {}

  /** The service that the secret opens, owned by the caller; null if it is none of these. */
  find(secret: Uint8Array): Capability | null {
    const { kinds, store } = this.options;
    const hash = createHash("sha256").update(secret).digest();
    const key = hash.toString("hex");
    let found = this.known.get(key);
    if (!found) {
      const record = store.sturdyRefs.lookup(hash);
      const kind = record && this.kindOf(record.type);
      if (!record || !kind) return null;
      found = { kind, grant: new Grant(Buffer.from(record.args).toString()) };
      this.known.set(key, found);
    }
    return kinds[found.kind]!(found.grant);
  }

  async grant(kind: string, name: string): Promise<string> {
    const { log, store, sturdyRef } = this.options;
    const type = this.typeOf(kind);
    if (name === "" || name.length > NAME_LENGTH || name.includes("\ufffd")) {
      throw new RpcError(
        "failed",
        `A ${kind} needs a name of at most ${NAME_LENGTH} characters, in UTF-8`,
      );
    }
    const secret = freshId();
    const hash = createHash("sha256").update(secret).digest();
    const args = Buffer.from(name);
    await store.writes.run(() => {
      if (store.sturdyRefs.find(type, args).length > 0) {
        throw new RpcError("failed", `There is a ${kind} ${quoted(name)} already`);
      }
      store.sturdyRefs.add({ hash, type, args });
    });
    log.info(`Created new ${kind} ${quoted(name)}`);
    return sturdyRef(secret).format();
  }

  async revoke(kind: string, name: string): Promise<void> {
    const { log, store } = this.options;
    const type = this.typeOf(kind);
    await store.writes.run(() => {
      const records = store.sturdyRefs.find(type, Buffer.from(name));
      if (records.length === 0) {
        throw new RpcError("failed", `Unknown ${kind} ${quoted(name)}`);
      }
      for (const { hash } of records) {
        store.sturdyRefs.remove(hash);
        const key = Buffer.from(hash).toString("hex");
        const known = this.known.get(key);
        if (known) known.grant.isRevoked = true;
        this.known.delete(key);
      }
    });
    log.info(`Removed ${kind} ${quoted(name)}`);
  }

  granted(kind: string): readonly string[] {
    const records = this.options.store.sturdyRefs.list(this.typeOf(kind));
    return records.map(({ args }) => Buffer.from(args).toString());
  }

  /** Its type in the database. Throws an `RpcError` (failed) if there is no such kind. */
  private typeOf(kind: string): string {
    const { kinds } = this.options;
    if (Object.hasOwn(kinds, kind)) return `${TYPE_PREFIX}${kind}`;
    const known = Object.keys(kinds).join(", ");
    throw new RpcError(
      "failed",
      `This scheduler has no capabilities of the kind ${quoted(kind)}; it has ${known}`,
    );
  }

  private kindOf(type: string): string | null {
    const kind = type.startsWith(TYPE_PREFIX) ? type.slice(TYPE_PREFIX.length) : "";
    return Object.hasOwn(this.options.kinds, kind) ? kind : null;
  }
}

/** Of the types in the database; that of clients, `ocluster-client`, is none of a kind here. */
const TYPE_PREFIX = "ocluster-";
