/**
 * Text fields whose bytes count: specs, Dockerfiles and secrets are whatever is in a user's file,
 * not always UTF-8. In memory they are byte strings (../text/bytes.ts); on the wire a Text is a
 * list of bytes that ends with a NUL.
 */
import { type Struct, utils } from "capnp-es";
import { Slices } from "../async/index.js";
import { fromBytes, toBytes } from "../text/index.js";

/**
 * The byte string in text field number `index` of the pointers of `struct`; "" if there is none.
 */
export function getByteText(struct: Struct, index: number): string {
  return fromBytes(textBytes(struct, index));
}

/** Its length in bytes, without reading it. */
export function byteTextLength(struct: Struct, index: number): number {
  return textBytes(struct, index).length;
}

/** Its bytes, in place, without the NUL. */
function textBytes(struct: Struct, index: number): Uint8Array {
  // Looked at first: `getData` puts an empty list in the place of a null pointer, and a Text
  // without its NUL is none.
  if (utils.isNull(utils.getPointer(index, struct))) return NO_BYTES;
  const bytes = utils.getData(index, struct).toUint8Array();
  return bytes.subarray(0, Math.max(0, bytes.length - 1));
}

const NO_BYTES = new Uint8Array(0);

/**
 * Text that is there in pieces of its UTF-8, as it may be too much to be put together in one go:
 * others run meanwhile.
 */
export async function setTextPieces(
  struct: Struct,
  index: number,
  pieces: readonly Uint8Array[],
): Promise<void> {
  let length = 0;
  for (const piece of pieces) length += piece.byteLength;
  const field = utils.initData(index, length + 1, struct).toUint8Array();
  const slices = new Slices();
  let at = 0;
  for (const piece of pieces) {
    field.set(piece, at);
    at += piece.byteLength;
    await slices.turn();
  }
}

export function setByteText(struct: Struct, index: number, text: string): void {
  const bytes = toBytes(text);
  const field = utils.initData(index, bytes.length + 1, struct);
  field.copyBuffer(bytes);
}
