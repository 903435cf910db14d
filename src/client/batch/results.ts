/**
 * The table of a batch's rows as a file, to which rows are added as they end: JSON lines, or CSV
 * with a header.
 *
 * A file that is there already is gone on with: what is in it is not written again. The newest line
 * of a key is the one that counts.
 */
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { CommandFailed } from "../../console/index.js";
import { visibleJson } from "../../text/index.js";
import { type EndedRow, type ResultRow, resultOf } from "./batch-json.js";

export class ResultsFile {
  private readonly file: number;
  private readonly isCsv: boolean;
  /** Jobs with the number of attempts that they had. */
  private readonly written = new Set<string>();

  /** Throws the system's errors, and a `CommandFailed` if something else is in the file. */
  constructor(
    private readonly path: string,
    private readonly columns: readonly string[],
  ) {
    this.isCsv = path.endsWith(".csv");
    this.file = openSync(path, "a+");
    try {
      this.takeUp();
    } catch (error) {
      closeSync(this.file);
      throw error;
    }
  }

  add(rows: readonly EndedRow[]): void {
    const lines: string[] = [];
    for (const row of rows) {
      const result = resultOf(row, this.columns);
      const id = idOf(result.job, result.attempts);
      if (this.written.has(id)) continue;
      this.written.add(id);
      lines.push(`${this.isCsv ? this.csv(result) : visibleJson(result)}\n`);
    }
    if (lines.length > 0) write(this.file, lines.join(""));
  }

  close(): void {
    fsyncSync(this.file);
    closeSync(this.file);
  }

  private get header(): string {
    return [...FIXED, ...this.columns].map(csvField).join(",");
  }

  private csv(result: ResultRow): string {
    const fixed = FIXED.map((name) => csvField(String(result[name] ?? "")));
    return [...fixed, ...this.columns.map((name) => csvField(result.values[name]!))].join(",");
  }

  /** Reads what is there. A line that was not written to its end is taken away. */
  private takeUp(): void {
    const text = readFileSync(this.path, "utf8");
    const end = text.lastIndexOf("\n") + 1;
    if (end < text.length) ftruncateSync(this.file, Buffer.byteLength(text.slice(0, end)));
    const lines = text.slice(0, end).split("\n").slice(0, -1);
    if (!this.isCsv) {
      for (const line of lines) this.takeUpJson(line);
    } else if (lines.length === 0) {
      write(this.file, `${this.header}\n`);
    } else {
      if (lines[0] !== this.header) throw this.foreign();
      // The job and its attempts come first, so that no line needs to be read further.
      for (const line of lines.slice(1)) {
        const [, job, attempts] = /^(\d+),(\d+),/.exec(line) ?? [];
        if (job !== undefined) this.written.add(idOf(Number(job), Number(attempts)));
      }
    }
  }

  private takeUpJson(line: string): void {
    try {
      const { attempts, job } = JSON.parse(line);
      if (typeof job !== "number") throw this.foreign();
      this.written.add(idOf(job, attempts));
    } catch {
      throw this.foreign();
    }
  }

  private foreign(): CommandFailed {
    return new CommandFailed(
      `"${this.path}" holds something else than the results of such a batch: name another file, or move it away`,
    );
  }
}

/** The columns of CSV before those of the rows. */
const FIXED = [
  "job",
  "attempts",
  "key",
  "row",
  "state",
  "worker",
  "seconds",
  "output",
  "started",
  "ended",
  "reason",
] as const satisfies readonly (keyof ResultRow)[];

function idOf(job: number, attempts: number): string {
  return `${job} ${attempts}`;
}

/** As of RFC 4180. Line ends within would make lines of the file something else than rows. */
function csvField(text: string): string {
  const line = text.replace(/[\r\n]+/g, " ");
  return /[",]/.test(line) ? `"${line.replaceAll('"', '""')}"` : line;
}

function write(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}
