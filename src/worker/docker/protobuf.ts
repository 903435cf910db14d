/**
 * As much of the protobuf encoding as BuildKit's session needs: messages whose fields are strings and bytes.
 * https://protobuf.dev/programming-guides/encoding/
 */

const VARINT = 0;
const LENGTH_DELIMITED = 2;

/** A message of length-delimited fields, from their numbers (below 16) to their values. */
export function encodeMessage(fields: Readonly<Record<number, string | Uint8Array>>): Buffer {
  return Buffer.concat(
    Object.entries(fields).flatMap(([number, value]) => {
      const bytes = Buffer.from(value as Uint8Array);
      return [Buffer.from([(Number(number) << 3) | LENGTH_DELIMITED]), varint(bytes.length), bytes];
    }),
  );
}

/** The field `number` of a message as text; "" if it is not there, as protobuf has it. Throws on other kinds of bytes. */
export function readString(message: Uint8Array, number: number): string {
  let result = "";
  const reader = new Reader(message);
  while (!reader.atEnd) {
    const tag = reader.varint();
    const type = tag & 7;
    if (type === VARINT) {
      reader.varint();
    } else if (type === LENGTH_DELIMITED) {
      const bytes = reader.bytes(reader.varint());
      if (tag >>> 3 === number) result = Buffer.from(bytes).toString();
    } else {
      throw new Error(`Unexpected protobuf field of type ${type}`);
    }
  }
  return result;
}

class Reader {
  #at = 0;

  constructor(private readonly message: Uint8Array) {}

  get atEnd(): boolean {
    return this.#at >= this.message.length;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 32; shift += 7) {
      const byte = this.bytes(1)[0]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new Error("Protobuf number too long");
  }

  bytes(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.message.length) throw new Error("Protobuf message cut short");
    const bytes = this.message.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  bytes.push(value);
  return Buffer.from(bytes);
}
