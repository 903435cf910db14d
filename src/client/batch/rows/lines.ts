/** Lines of a stream of bytes, some at a time. */

export interface Line {
  /** Without its end; a character for each byte. */
  readonly bytes: string;
  /** From 1. */
  readonly line: number;
}

export async function* lines(input: AsyncIterable<Buffer>): AsyncGenerator<Line[]> {
  let rest = "";
  let line = 1;
  for await (const piece of input) {
    const all = (rest + piece.toString("latin1")).split("\n");
    rest = all.pop()!;
    yield all.map((bytes) => ({ bytes: withoutReturn(bytes), line: line++ }));
  }
  if (rest !== "") yield [{ bytes: withoutReturn(rest), line }];
}

function withoutReturn(bytes: string): string {
  return bytes.endsWith("\r") ? bytes.slice(0, -1) : bytes;
}
