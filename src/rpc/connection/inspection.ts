/**
 * The tables of a connection looked at from outside: what of their invariants is violated, and what
 * is in them.
 *
 * Nothing here changes anything, and nothing of it is on the way of a call. Between two messages,
 * no invariant may be violated, ever: the model and fuzz tests ask after each step. What the
 * entries themselves know of theirs is in their classes (`faults`, `describe`); here are those that
 * take several tables. Most telling is the census: imports and questions count their references,
 * each of which is some entry's, so that the sums must agree.
 */
import type { Protocol } from "./protocol.js";
import type { CountedEntry } from "./remote.js";

/** Is told of a violated invariant. */
export type Report = (fault: string) => void;

/** Violated invariants, as text. Looks at every entry. */
export function faults(protocol: Protocol): string[] {
  const found: string[] = [];
  const { answers, embargoes, exports, imports, questions } = protocol;
  checkTable("questions", protocol, questions, found);
  checkTable("answers", protocol, answers, found);
  checkTable("imports", protocol, imports, found);
  checkTable("exports", protocol, exports, found);
  checkTable("embargoes", protocol, embargoes, found);
  const census = new Census();
  for (const table of [answers, imports, exports]) {
    table.forEach((entry) => {
      entry.eachHeld(census.count);
    });
  }
  const dependents = new Census();
  questions.forEach((entry) => {
    entry.eachDependency(dependents.count);
  });
  questions.forEach((entry, id) => {
    entry.check(census.take(entry), dependents.take(entry), about("question", id, found));
  });
  let unsettled = 0;
  answers.forEach((entry, id) => {
    if (entry.isUnsettled) unsettled++;
    entry.check(about("answer", id, found));
  });
  imports.forEach((entry, id) => {
    entry.check(census.take(entry), about("import", id, found));
  });
  exports.forEach((entry, id) => {
    entry.check(protocol.isRemembered(entry), about("export", id, found));
  });
  embargoes.forEach((entry, id) => {
    entry.check(about("embargo", id, found));
  });
  if (census.strangers > 0) found.push(`${census.strangers} entries are held and in no table`);
  protocol.checkMemory((fault) => found.push(fault));
  const { callBytesInFlight: bytes, callsInFlight: calls } = protocol;
  // The others were finished before they were settled.
  if (calls < unsettled) found.push(`${unsettled} calls in flight are counted as ${calls}`);
  if (bytes < 0 || (calls === 0 && bytes > 0)) found.push(`${calls} calls have ${bytes} bytes`);
  return found;
}

type Tables = Pick<Protocol, "questions" | "answers" | "imports" | "exports" | "embargoes">;

function checkTable(
  name: keyof Tables,
  { error }: Protocol,
  table: Tables[keyof Tables],
  found: string[],
): void {
  const report = (fault: string) => found.push(`${name}: ${fault}`);
  if (error !== undefined && table.size > 0) report(`${table.size} left of a lost connection`);
  table.check(report);
  table.forEach((entry: { readonly id: number }, id: number) => {
    if (entry.id !== id) report(`entry ${entry.id} is under id ${id}`);
  });
}

function about(kind: string, id: number, found: string[]): Report {
  return (fault) => found.push(`${kind} ${id}: ${fault}`);
}

/** How often each counted entry is held by others. */
class Census {
  private readonly holders = new Map<CountedEntry, number>();

  readonly count = (entry: CountedEntry): void => {
    this.holders.set(entry, (this.holders.get(entry) ?? 0) + 1);
  };

  /** To be asked once for each entry of the tables. */
  take(entry: CountedEntry): number {
    const count = this.holders.get(entry) ?? 0;
    this.holders.delete(entry);
    return count;
  }

  /** How many entries are held that nobody has asked for. */
  get strangers(): number {
    return this.holders.size;
  }
}

/** How many entries of a table are listed. */
const LISTED = 50;

/**
 * Most entries whose invariants are checked for a dump: a look at so many takes some ten
 * milliseconds.
 */
const CHECKED = 20_000;

/** What is in the tables, line by line, for people. Of large tables, the first entries. */
export function dump(protocol: Protocol): string[] {
  const { answers, callBytesInFlight, callsInFlight, embargoes, error, exports, imports } =
    protocol;
  const { leaks, questions } = protocol;
  const tables: Tables = { questions, answers, imports, exports, embargoes };
  const lines = [
    error === undefined ? "open" : `ended: ${error.message}`,
    `calls in flight: ${callsInFlight}, of ${callBytesInFlight} bytes; leaks: ${leaks}`,
  ];
  let entries = 0;
  for (const [name, table] of Object.entries(tables)) {
    entries += table.size;
    lines.push(`${name}: ${table.size}`);
    let listed = 0;
    table.forEach((entry: { describe(): string }, id: number) => {
      if (listed++ < LISTED) lines.push(`  ${id}: ${entry.describe()}`);
    });
    if (listed > LISTED) lines.push(`  … ${listed - LISTED} more`);
  }
  if (entries > CHECKED) lines.push(`invariants: not looked at, with ${entries} entries`);
  else for (const fault of faults(protocol)) lines.push(`violated: ${fault}`);
  return lines;
}
