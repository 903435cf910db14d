/**
 * The format of traces: scripts of operations, each with the text that it is to print.
 */

/** The trace itself is wrong, or asks for something that is not there. */
export class TraceError extends Error {
  override readonly name = "TraceError";
}

export interface Operation {
  /** Where it stands in the file, from 1. */
  readonly line: number;
  readonly name: string;
  readonly args: readonly string[];
  readonly expected: readonly string[];
}

/** Throws a `TraceError` that names the line. */
export function parseTrace(text: string): Operation[] {
  const operations: (Operation & { readonly expected: string[] })[] = [];
  for (const [i, raw] of text.split("\n").entries()) {
    const line = raw.trimEnd();
    if (line === "" || line.startsWith("#")) continue;
    const complain = (problem: string) => new TraceError(`line ${i + 1}: ${problem}: ${line}`);
    if (line.startsWith(">")) {
      if (line[1] !== undefined && line[1] !== " ") throw complain("no space after the >");
      const last = operations.at(-1);
      if (!last) throw complain("there is no operation that could print this");
      last.expected.push(line.slice(2));
    } else {
      const [name = "", ...args] = line.split(" ");
      if ([name, ...args].includes("")) throw complain("words must be separated by single spaces");
      operations.push({ line: i + 1, name, args, expected: [] });
    }
  }
  return operations;
}

/**
 * The lines that differ, as a list to print: `-` was expected, `+` was printed. Empty if there is
 * no difference.
 */
export function compareLines(expected: readonly string[], printed: readonly string[]): string[] {
  const same = (i: number, j: number) => expected.at(i) === printed.at(j);
  const shorter = Math.min(expected.length, printed.length);
  let before = 0;
  while (before < shorter && same(before, before)) before++;
  if (before === Math.max(expected.length, printed.length)) return [];
  let after = 0;
  while (after < shorter - before && same(-1 - after, -1 - after)) after++;
  const changed = (lines: readonly string[]) => lines.slice(before, lines.length - after);
  return [
    ...expected.slice(0, before).map((line) => `  ${line}`),
    ...changed(expected).map((line) => `- ${line}`),
    ...changed(printed).map((line) => `+ ${line}`),
    ...expected.slice(expected.length - after).map((line) => `  ${line}`),
  ];
}
