/**
 * Reading something long in parts, from somebody far away: several parts are asked for at a time,
 * so that the time that each question takes is not waited for.
 */

/** Gives bytes from `start` on, `limit` at most; none at the end alone. */
type ReadPart = (start: number, limit: number) => Promise<Uint8Array>;

/** Bytes of a part, and parts on their way at a time. */
interface Pace {
  readonly part: number;
  readonly ahead: number;
}

/**
 * The bytes from `start` to `end`, in order. Rejects as `read` does, and with a `RangeError` if
 * there are fewer. Whoever stops early leaves some that were read unused.
 */
export async function* readAhead(
  read: ReadPart,
  start: number,
  end: number,
  { ahead, part }: Pace,
): AsyncGenerator<Uint8Array> {
  const coming: { readonly from: number; readonly to: number; data: Promise<Uint8Array> }[] = [];
  let asked = start;
  const ask = () => {
    while (coming.length < ahead && asked < end) {
      const to = Math.min(asked + part, end);
      const data = read(asked, to - asked);
      data.catch(() => {}); // It is waited for in its turn, or not at all.
      coming.push({ from: asked, to, data });
      asked = to;
    }
  };
  for (ask(); coming.length > 0; ask()) {
    const { data: first, from, to } = coming.shift()!;
    let data = await first;
    for (let at = from; ; data = await read(at, to - at)) {
      if (data.length === 0) throw new RangeError(`It ends at byte ${at}, and not at ${end}`);
      if (data.length > to - at) throw new RangeError(`More came than was asked for at byte ${at}`);
      yield data;
      at += data.length;
      if (at === to) break;
    }
  }
}
