/**
 * Who may submit jobs: the clients, by the secrets in their capability files. Of a secret only the
 * hash is kept.
 */
import { createHash } from "node:crypto";
import { freshId, RpcError } from "../../rpc/index.js";
import { quoted } from "../../text/index.js";
import type { SturdyRefs } from "../state/sturdy-refs.js";
import { type ClientLimits, QueueAccount } from "./client-limits.js";

/** The type of clients' sturdy refs in the database. */
const TYPE = "ocluster-client";

/**
 * What one secret opens: to act as a client, until it is revoked. Shared by all who use the secret.
 */
export class Access {
  private isRevoked = false;

  constructor(
    readonly client: string,
    readonly queueAccount: QueueAccount,
  ) {}

  get revoked(): boolean {
    return this.isRevoked;
  }

  revoke(): void {
    this.isRevoked = true;
  }
}

export class Clients {
  /** Those that were asked for, by the secret's hash in hexadecimal. */
  private readonly accesses = new Map<string, Access>();
  private readonly accounts = new Map<string, QueueAccount>();

  constructor(
    private readonly store: SturdyRefs,
    private readonly clientLimits: ClientLimits,
  ) {}

  /**
   * Makes a new client, and returns its secret. Throws an `RpcError` (failed) if the id is none, or
   * taken.
   */
  add(id: string): Uint8Array {
    if (id === "") throw new RpcError("failed", "A client needs a name");
    // What comes instead of bytes that are no text: others would come to the same, and nobody could
    // type it.
    if (id.includes("\ufffd")) throw new RpcError("failed", "A client's name must be UTF-8");
    if (this.has(id)) throw new RpcError("failed", `Client ${quoted(id)} already registered!`);
    const secret = freshId();
    this.store.add({ hash: hashOf(secret), type: TYPE, args: Buffer.from(id) });
    return secret;
  }

  /** Ends a client's access, at once. Throws an `RpcError` (failed) if there is no such client. */
  remove(id: string): void {
    const records = this.store.find(TYPE, Buffer.from(id));
    if (records.length === 0) throw new RpcError("failed", `Unknown client ${quoted(id)}`);
    for (const { hash } of records) {
      this.store.remove(hash);
      const key = keyOf(hash);
      this.accesses.get(key)?.revoke();
      this.accesses.delete(key);
    }
    if (this.accounts.get(id)?.empty) this.accounts.delete(id);
  }

  has(id: string): boolean {
    return this.store.find(TYPE, Buffer.from(id)).length > 0;
  }

  /** The ids of all clients, sorted. */
  list(): string[] {
    return this.store.list(TYPE).map(({ args }) => Buffer.from(args).toString());
  }

  /** What the secret opens; null if nothing, or nothing any more. */
  find(secret: Uint8Array): Access | null {
    const hash = hashOf(secret);
    const key = keyOf(hash);
    const known = this.accesses.get(key);
    if (known) return known;
    const record = this.store.lookup(hash);
    if (record?.type !== TYPE) return null;
    const client = Buffer.from(record.args).toString();
    const access = new Access(client, this.accountOf(client));
    this.accesses.set(key, access);
    return access;
  }

  /**
   * A client that is removed and added again keeps its account: its old jobs may still be queued.
   */
  private accountOf(client: string): QueueAccount {
    let account = this.accounts.get(client);
    if (!account) {
      account = new QueueAccount(client, this.clientLimits);
      this.accounts.set(client, account);
    }
    return account;
  }
}

function hashOf(secret: Uint8Array): Buffer {
  return createHash("sha256").update(secret).digest();
}

function keyOf(hash: Uint8Array): string {
  return Buffer.from(hash).toString("hex");
}
