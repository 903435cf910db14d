/**
 * The sturdy refs that are kept in the state database: what a secret stands for, found by the
 * secret's hash.
 *
 * A secret's hash is the SHA-256 of its raw bytes; the secrets themselves are not kept. A
 * submission capability has the type `ocluster-client` and the client's id in UTF-8 as its
 * arguments.
 *
 * Changes are synced, other than those of the rest of the database: the durable jobs of a client
 * that a power cut has taken away would be out of its reach, and one that was removed would be
 * back.
 */

import type { Database, Statement } from "better-sqlite3";
import { StoreError } from "./store-error.js";
import { syncedWrite } from "./synced-write.js";

export interface SturdyRefRecord {
  /** The SHA-256 of the secret, 32 bytes. */
  readonly hash: Uint8Array;
  readonly type: string;
  readonly args: Uint8Array;
}

/**
 * All methods throw a `StoreError` if the database fails. Reading costs some microseconds, a change
 * some milliseconds.
 */
export class SturdyRefs {
  private readonly insert: Statement<[Uint8Array, string, Uint8Array, string]>;
  private readonly erase: Statement<[Uint8Array]>;
  private readonly byHash: Statement<[Uint8Array], SturdyRefRecord>;
  private readonly byMeaning: Statement<[string, Uint8Array], SturdyRefRecord>;
  private readonly byType: Statement<[string], SturdyRefRecord>;

  constructor(
    private readonly db: Database,
    private readonly path: string,
    private readonly today: () => string,
  ) {
    this.insert = db.prepare(
      "INSERT INTO sturdy_refs (hash, type, args, created) VALUES (?, ?, ?, ?)",
    );
    this.erase = db.prepare("DELETE FROM sturdy_refs WHERE hash = ?");
    this.byHash = db.prepare("SELECT hash, type, args FROM sturdy_refs WHERE hash = ?");
    this.byMeaning = db.prepare(
      "SELECT hash, type, args FROM sturdy_refs WHERE type = ? AND args = ?",
    );
    this.byType = db.prepare(
      "SELECT hash, type, args FROM sturdy_refs WHERE type = ? ORDER BY args",
    );
  }

  /** Keeps a new one. It is an error if the hash is taken. */
  add({ hash, type, args }: SturdyRefRecord): void {
    this.change(() => this.insert.run(hash, type, args, this.today()));
  }

  /** What the hash stands for; null if it is unknown, or removed. */
  lookup(hash: Uint8Array): SturdyRefRecord | null {
    return this.guard(() => this.byHash.get(hash) ?? null);
  }

  /** All that stand for the same thing. */
  find(type: string, args: Uint8Array): SturdyRefRecord[] {
    return this.guard(() => this.byMeaning.all(type, args));
  }

  /** All of a type, sorted by their arguments as bytes. */
  list(type: string): SturdyRefRecord[] {
    return this.guard(() => this.byType.all(type));
  }

  /** False if there was none. */
  remove(hash: Uint8Array): boolean {
    return this.change(() => this.erase.run(hash).changes > 0);
  }

  /** Returns when that is on disk. */
  private change<R>(write: () => R): R {
    return this.guard(() => syncedWrite(this.db, write));
  }

  private guard<R>(use: () => R): R {
    return StoreError.guard(this.path, use);
  }
}
