/**
 * The table of `client-use.ts`, and what is in it at first, of a database from before there was
 * one: a migration.
 */
import { SEAL } from "./job-cipher.js";

/** What a record takes in its tables and their indices, with one attempt. */
export const RECORD_BYTES = 1024;

export const CLIENT_USE_TABLE = `
  CREATE TABLE client_use (
    client  TEXT PRIMARY KEY,
    records INTEGER NOT NULL,
    logs    INTEGER NOT NULL
  ) WITHOUT ROWID;
  INSERT INTO client_use (client, records, logs)
    SELECT client, sum(records), sum(logs) FROM (
      SELECT client, count(*) * ${RECORD_BYTES} + sum(octet_length(hint)) AS records, 0 AS logs
        FROM job GROUP BY client
      UNION ALL
      SELECT client, sum(length(sealed) - ${SEAL}), 0 FROM description JOIN job ON id = job GROUP BY client
      UNION ALL
      SELECT client, sum(length(sealed) - ${SEAL}), 0 FROM batch_template JOIN batch ON id = batch
        GROUP BY client
      UNION ALL
      SELECT client, sum(length(sealed) - ${SEAL}), 0 FROM batch_rows JOIN batch ON batch.id = batch
        GROUP BY client
      UNION ALL
      SELECT client, 0, sum(length) FROM log_piece JOIN job ON id = job GROUP BY client
    ) GROUP BY client;
`;
