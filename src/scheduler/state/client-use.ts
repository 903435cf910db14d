/**
 * What each client has on disk: its records and its logs, in bytes, kept with each change, so that
 * it is known before more is taken. For the thread that writes `jobs.db`; all of it happens in its
 * transactions.
 *
 * A record counts `RECORD_BYTES` and its cache hint, which is the only text of it that can be long;
 * a description, a batch's template and rows what they have; a log what is kept of it, unpacked.
 */
import type { Database } from "better-sqlite3";
import { RECORD_BYTES } from "./client-use-table.js";
import { SEAL } from "./job-cipher.js";
import type { Changes } from "./jobs-messages.js";
import { JOB_COLUMNS } from "./jobs-schema.js";

/** Bytes on disk. */
export interface ClientUse {
  readonly client: string;
  readonly records: number;
  readonly logs: number;
}

const [ID, CLIENT, HINT] = (["id", "client", "hint"] as const).map((name) =>
  JOB_COLUMNS.indexOf(name),
) as [number, number, number];

export class ClientUses {
  private readonly statements: ReturnType<typeof prepare>;
  private readonly sums = new Map<string, { records: number; logs: number }>();

  constructor(db: Database) {
    this.statements = prepare(db);
  }

  all(): ClientUse[] {
    return this.statements.all.all();
  }

  /** What `changes` add, before they are made. `isNew`: jobs of which there is no record yet. */
  note({ descriptions, erased, jobs, pieces }: Changes, isNew: ReadonlySet<number>): void {
    for (const row of jobs) {
      if (isNew.has(row[ID] as number)) {
        this.addRecord({ client: row[CLIENT] as string, hint: row[HINT] as string });
      }
    }
    const known = new Map<number, string>();
    if (descriptions.length + pieces.length > 0) {
      for (const row of jobs) known.set(row[ID] as number, row[CLIENT] as string);
    }
    const clientOf = (job: number): string | undefined => {
      const client = known.get(job) ?? this.statements.client.get(job);
      if (client !== undefined) known.set(job, client);
      return client;
    };
    for (const [job, bytes] of descriptions) this.add(clientOf(job), bytes.length, 0);
    for (const job of erased) this.eraseDescription(job);
    for (const { job, length } of pieces) this.add(clientOf(job), 0, length);
  }

  /** There is a record more. */
  addRecord({ client, hint }: { readonly client: string; readonly hint: string }): void {
    this.add(client, RECORD_BYTES + Buffer.byteLength(hint), 0);
  }

  /** A description is about to be erased. */
  eraseDescription(job: number): void {
    const found = this.statements.description.get(job);
    if (found) this.add(found.client, -found.bytes, 0);
  }

  /** A record is about to be removed, with all that belongs to it. */
  removeRecord(job: number): void {
    this.eraseDescription(job);
    const found = this.statements.record.get(job);
    if (found) this.add(found.client, -RECORD_BYTES - found.hint, -found.logs);
  }

  /** A log is about to be dropped. */
  dropLog(job: number, attempt: number): void {
    const found = this.statements.log.get(attempt, job);
    if (found) this.add(found.client, 0, -found.bytes);
  }

  /** Something of a batch is kept from now on, or with a negative number is not. */
  addToBatch(batch: number, bytes: number): void {
    this.add(this.statements.batch.get(batch), bytes, 0);
  }

  /** Writes down what was said so far; returns the sums of those that it was about. */
  save(): ClientUse[] {
    const uses: ClientUse[] = [];
    for (const [client, { logs, records }] of this.sums) {
      uses.push(this.statements.save.get({ client, records, logs })!);
    }
    this.sums.clear();
    return uses;
  }

  /** What was said since is not so: the transaction has failed. */
  forget(): void {
    this.sums.clear();
  }

  private add(client: string | undefined, records: number, logs: number): void {
    // Of a job that is not on record there is nothing to be counted.
    if (client === undefined) return;
    const sum = this.sums.get(client);
    if (sum) {
      sum.records += records;
      sum.logs += logs;
    } else {
      this.sums.set(client, { records, logs });
    }
  }
}

function prepare(db: Database) {
  return {
    all: db.prepare<[], ClientUse>("SELECT client, records, logs FROM client_use"),
    client: db.prepare<[number], string>("SELECT client FROM job WHERE id = ?").pluck(),
    batch: db.prepare<[number], string>("SELECT client FROM batch WHERE id = ?").pluck(),
    description: db.prepare<[number], { client: string; bytes: number }>(
      `SELECT client, length(sealed) - ${SEAL} AS bytes
         FROM description JOIN job ON id = job WHERE job = ?`,
    ),
    record: db.prepare<[number], { client: string; hint: number; logs: number }>(
      `SELECT client, octet_length(hint) AS hint,
         (SELECT total(length) FROM log_piece WHERE job = id) AS logs FROM job WHERE id = ?`,
    ),
    log: db.prepare<[number, number], { client: string; bytes: number }>(
      `SELECT client, (SELECT total(length) FROM log_piece WHERE job = id AND attempt = ?) AS bytes
         FROM job WHERE id = ?`,
    ),
    save: db.prepare<[ClientUse], ClientUse>(
      `INSERT INTO client_use (client, records, logs) VALUES (@client, max(0, @records), max(0, @logs))
         ON CONFLICT (client) DO UPDATE SET
           records = max(0, records + @records), logs = max(0, logs + @logs)
         RETURNING client, records, logs`,
    ),
  };
}
