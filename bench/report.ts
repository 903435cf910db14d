/**
 * How a benchmark says what it has measured: to who looks on, and to `npm run bench`, which makes
 * one table of all of them.
 */
import { appendFileSync } from "node:fs";

/** By their names, which say the unit. */
export type Figures = Readonly<Record<string, number>>;

/** A line of the file by which a benchmark that was started by another tells its figures. */
export interface Reported {
  readonly name: string;
  readonly figures: Figures;
}

/** The variable that names that file. */
export const REPORT_FILE = "BENCH_REPORT";

export function report(name: string, figures: Figures): void {
  const { [REPORT_FILE]: file } = process.env;
  console.log(name);
  for (const [figure, value] of Object.entries(figures)) {
    console.log(`  ${figure.padEnd(44)} ${figureText(value).padStart(10)}`);
  }
  const line: Reported = { name, figures };
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`);
}

export function figureText(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(2);
}
