/**
 * As much of the protobuf encoding as BuildKit's messages need: no schema, fields by their numbers.
 * https://protobuf.dev/programming-guides/encoding/
 */

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/**
 * What a field of a message is set to: bytes or text, or an integer. Negative ones are what
 * protobuf calls `int64`.
 */
export type FieldValue = string | Uint8Array | number | bigint;

/** A message, from the numbers of its fields (below 16) to their values. */
export function encodeMessage(fields: Readonly<Record<number, FieldValue>>): Buffer {
  return Buffer.concat(
    Object.entries(fields).flatMap(([key, value]) => {
      const field = Number(key) << 3;
      if (typeof value === "number" || typeof value === "bigint") {
        return [Buffer.from([field | VARINT]), varint(BigInt(value))];
      }
      const bytes = Buffer.from(value as Uint8Array);
      return [Buffer.from([field | LENGTH_DELIMITED]), varint(BigInt(bytes.length)), bytes];
    }),
  );
}

/** A decoded message. A field that is not there is 0, "" or empty, as protobuf has it. */
export class Message {
  readonly #numbers = new Map<number, number>();
  readonly #bytes = new Map<number, Uint8Array[]>();

  /** Throws on bytes that are no message. */
  constructor(encoded: Uint8Array) {
    const reader = new Reader(encoded);
    while (!reader.atEnd) {
      const tag = reader.varint();
      const field = Math.floor(tag / 8);
      switch (tag % 8) {
        case VARINT:
          this.#numbers.set(field, reader.varint());
          break;
        case LENGTH_DELIMITED:
          this.#bytes.set(field, [...this.all(field), reader.bytes(reader.varint())]);
          break;
        case FIXED64:
          reader.bytes(8);
          break;
        case FIXED32:
          reader.bytes(4);
          break;
        default:
          throw new Error("Not a protobuf message");
      }
    }
  }

  /** An integer; exact up to 2^53. */
  number(field: number): number {
    return this.#numbers.get(field) ?? 0;
  }

  text(field: number): string {
    return Buffer.from(this.bytes(field)).toString();
  }

  bytes(field: number): Uint8Array {
    return this.all(field).at(-1) ?? new Uint8Array();
  }

  /** A field that is a message, if it is there. */
  message(field: number): Message | undefined {
    return this.messages(field).at(-1);
  }

  /** A repeated field of messages. */
  messages(field: number): Message[] {
    return this.all(field).map((bytes) => new Message(bytes));
  }

  private all(field: number): readonly Uint8Array[] {
    return this.#bytes.get(field) ?? [];
  }
}

class Reader {
  #at = 0;

  constructor(private readonly message: Uint8Array) {}

  get atEnd(): boolean {
    return this.#at >= this.message.length;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 70; factor *= 128) {
      const byte = this.bytes(1)[0]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
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

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
