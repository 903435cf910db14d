/** `usage`: what each client had of the cluster in some time. */
import { JobRecords } from "../api/index.js";
import { type Column, Table } from "../console/index.js";
import type { Capability } from "../rpc/index.js";
import { visible, writeDuration } from "../text/index.js";
import { printJson, printLine } from "./output.js";

/** A span of time, in seconds since the Unix epoch. */
export interface Span {
  readonly since: number;
  readonly until: number;
}

/** Prints a line for each client, who had most of it first. */
export async function usage(
  admin: Capability,
  { since, until }: Span,
  json: boolean,
): Promise<void> {
  const clients = await JobRecords.usage(admin, since, until);
  const sorted = clients.toSorted((a, b) => b.seconds - a.seconds);
  if (json) {
    for (const client of sorted) printJson(client);
  } else if (sorted.length === 0) {
    process.stderr.write("No jobs.\n");
  } else {
    const rows = sorted.map((client) => COLUMNS.map(({ cell }) => cell(client)));
    for (const line of new Table(COLUMNS).lines(rows)) printLine(line);
  }
}

interface UsageColumn extends Column {
  cell(usage: JobRecords.ClientUsage): string;
}

const COLUMNS: readonly UsageColumn[] = [
  { head: "CLIENT", cell: ({ client }) => visible(client) },
  { head: "JOBS", align: "right", cell: ({ jobs }) => String(jobs) },
  { head: "SUCCEEDED", align: "right", cell: ({ succeeded }) => String(succeeded) },
  { head: "FAILED", align: "right", cell: ({ failed }) => String(failed) },
  { head: "CANCELLED", align: "right", cell: ({ cancelled }) => String(cancelled) },
  { head: "TIME", align: "right", cell: ({ seconds }) => writeDuration(seconds) },
  { head: "OF IT LOST", align: "right", cell: ({ lostSeconds }) => writeDuration(lostSeconds) },
];
