/**
 * Jobs that have not begun, packed to pass from thread to thread: there may be a million at the
 * start, of which each as an object with all its columns takes several times as long to read and to
 * hand over. Most are as they were submitted, but for their place in the queue: of these only the
 * columns below are read. A text that many have in common is there once.
 */
import { newJob } from "../jobs/submission.js";
import type { JobRecord } from "../jobs/types.js";
import { SEAL } from "./job-cipher.js";
import { type JOB_COLUMNS, needsOf, optionsOf, STATES } from "./jobs-schema.js";

/** What there is to say of a job as it was submitted, in the order of a packed row. */
const NUMBERS = ["id", "batch", "row", "urgent", "submitted", "start", "queue_order"] as const;
const TEXTS = ["client", "pool", "hint", "name", "key", "needs", "options"] as const;

/** After these numbers, bytes of its description. */
const SIZE = NUMBERS.length;
const TEXT = SIZE + 1;
const WIDTH = TEXT + TEXTS.length;

type Packed = (typeof NUMBERS)[number] | (typeof TEXTS)[number] | "attached" | "state";

/** What the other columns of such a job hold. */
const UNTOUCHED: Readonly<
  Record<Exclude<(typeof JOB_COLUMNS)[number], Packed>, "" | number | null>
> = {
  started: null,
  ended: null,
  cause: null,
  reason: "",
  output: "",
  described: 1,
  not_before: null,
  attempts: 0,
  failures: 0,
  losses: 0,
  suspicions: 0,
  troubles: 0,
  avoid: "",
  batch_end: null,
};

/**
 * What is selected of `job`: a packed row's columns, and at last whether that is all there is to
 * say.
 */
export const PACKED_COLUMNS = [
  ...NUMBERS,
  `(SELECT length(sealed) - ${SEAL} FROM description WHERE description.job = id)`,
  ...TEXTS,
  Object.entries(UNTOUCHED)
    .map(([name, value]) => (value === null ? `${name} IS NULL` : `${name} = ${sql(value)}`))
    .join(" AND "),
].join(", ");

function sql(value: "" | number): string {
  return value === "" ? "''" : String(value);
}

/** A row of these columns. */
export type PackedRow = readonly (string | number | null)[];

export interface PackedJobs {
  /** Of each job its numbers, NaN for null; then where each of its texts is in `texts`. */
  readonly numbers: Float64Array;
  readonly texts: readonly string[];
}

/** Packs rows, and says which jobs are left out, as there is more to say of them. */
export function pack(rows: readonly PackedRow[]): { packed: PackedJobs; others: number[] } {
  const numbers = new Float64Array(rows.length * WIDTH);
  const texts = new Map<string, number>();
  const others: number[] = [];
  let at = 0;
  for (const row of rows) {
    if (!row[WIDTH]) {
      others.push(row[0] as number);
      continue;
    }
    for (let i = 0; i < TEXT; i++) numbers[at++] = (row[i] as number | null) ?? NaN;
    for (let i = TEXT; i < WIDTH; i++) {
      const text = row[i] as string;
      let index = texts.get(text);
      if (index === undefined) {
        index = texts.size;
        texts.set(text, index);
      }
      numbers[at++] = index;
    }
  }
  return { packed: { numbers: numbers.slice(0, at), texts: [...texts.keys()] }, others };
}

/** The jobs, all in that state, with the sizes of their descriptions in bytes. */
export function* unpack(
  { numbers, texts }: PackedJobs,
  state: number,
): Generator<{ readonly job: JobRecord; readonly size: number }, void> {
  const allOptions = new Map<string, JobRecord["options"]>();
  let at = 0;
  const number = (): number => numbers[at++]!;
  const text = (): string => texts[number()]!;
  while (at < numbers.length) {
    const [id, batch, row, urgent] = [number(), number(), number(), number()];
    const [submitted, start, order, size] = [number(), number(), number(), number()];
    const submission = {
      urgent: urgent !== 0,
      client: text(),
      pool: text(),
      hint: text(),
      name: text(),
      key: text(),
      needs: needsOf(text()),
      description: NOTHING,
    };
    const said = text();
    let options = allOptions.get(said);
    if (!options) {
      options = optionsOf(said);
      allOptions.set(said, options);
    }
    const job = newJob(id, submission, options, submitted);
    if (!Number.isNaN(batch)) Object.assign(job, { batch: orNull(batch), row: orNull(row) });
    job.state = STATES[state]!;
    job.start = orNull(start);
    job.order = order;
    yield { job, size: Number.isNaN(size) ? 0 : size };
  }
}

const NOTHING = new Uint8Array(0);

function orNull(number: number): number | null {
  return Number.isNaN(number) ? null : number;
}
