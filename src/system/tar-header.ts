/*
 * Headers of tar archives in GNU format: names and link targets of more than 100 bytes go into an
 * entry of their own before the header; numbers too large for octal digits are written in binary.
 */

export type EntryType = "file" | "link" | "symlink" | "dir";

export interface TarEntry {
  readonly type: EntryType;
  readonly name: Buffer;
  /** Of a link. */
  readonly target: Buffer;
  readonly mode: number;
  readonly uid: bigint;
  readonly gid: bigint;
  /** Bytes that follow. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
}

const BLOCK = 512;
const NAME_LENGTH = 100;
const LONG_LINK = Buffer.from("././@LongLink");

const TYPE_FLAGS: Readonly<Record<EntryType | "longName" | "longTarget", string>> = {
  file: "0",
  link: "1",
  symlink: "2",
  dir: "5",
  longName: "L",
  longTarget: "K",
};

/** Offset and length of each field (`tar(5)`, "GNU tar archives"). */
const FIELDS = {
  name: [0, NAME_LENGTH],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  target: [157, NAME_LENGTH],
  magic: [257, 8],
} as const;

/** What follows the last entry. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK);

/** The header's blocks, preceded by those that it needs. */
export function tarHeader(entry: TarEntry): Buffer {
  const blocks: Buffer[] = [];
  if (entry.target.length > NAME_LENGTH) blocks.push(longEntry("longTarget", entry.target));
  if (entry.name.length > NAME_LENGTH) blocks.push(longEntry("longName", entry.name));
  blocks.push(header(entry, TYPE_FLAGS[entry.type]));
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks);
}

/** Fills the last block of an entry's content. */
export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

function longEntry(kind: "longName" | "longTarget", text: Buffer): Buffer {
  const content = Buffer.concat([text, Buffer.alloc(1)]);
  const fields = { mode: 0o644, uid: 0n, gid: 0n, mtime: 0, target: Buffer.alloc(0) };
  const entry = { ...fields, name: LONG_LINK, size: content.length };
  return Buffer.concat([header(entry, TYPE_FLAGS[kind]), content, padding(content.length)]);
}

function header(entry: Omit<TarEntry, "type">, typeFlag: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  const put = (field: keyof typeof FIELDS, bytes: Buffer) => {
    const [offset, length] = FIELDS[field];
    bytes.copy(block, offset, 0, length);
  };
  const number = (field: "mode" | "uid" | "gid" | "size" | "mtime", value: bigint) =>
    put(field, numberField(value, FIELDS[field][1]));
  put("name", entry.name);
  number("mode", BigInt(entry.mode));
  number("uid", entry.uid);
  number("gid", entry.gid);
  number("size", BigInt(entry.size));
  number("mtime", BigInt(entry.mtime));
  put("type", Buffer.from(typeFlag));
  put("target", entry.target);
  put("magic", Buffer.from("ustar  \0"));
  put("checksum", Buffer.from("        "));
  const sum = block.reduce((total, byte) => total + byte, 0);
  put("checksum", Buffer.from(`${sum.toString(8).padStart(6, "0")}\0 `));
  return block;
}

/**
 * Octal digits and a NUL or, where they do not suffice, the number in two's complement with the top
 * bit set.
 */
function numberField(value: bigint, length: number): Buffer {
  if (value >= 0n && value < 8n ** BigInt(length - 1)) {
    return Buffer.from(`${value.toString(8).padStart(length - 1, "0")}\0`);
  }
  const bits = BigInt(8 * length);
  const field = Buffer.from(
    BigInt.asUintN(Number(bits), value)
      .toString(16)
      .padStart(2 * length, "0"),
    "hex",
  );
  field[0]! |= 0x80;
  return field;
}
