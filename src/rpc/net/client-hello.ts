/**
 * The first thing that a TLS client says, and whether all of it is here: until then there is
 * nothing that a server could do.
 *
 * It is a handshake message in one or more records (RFC 8446, 4 and 5.1): `22 3 x length:16 …`
 * each, and in them together `1 length:24 …`.
 */
import type { Socket } from "node:net";

const RECORD_HEADER_BYTES = 5;
const MAX_RECORD_BYTES = 16_384;
const MESSAGE_HEADER_BYTES = 4;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;

/** More than the largest that clients send, with a key of post-quantum cryptography in it. */
const MAX_HELLO_BYTES = RECORD_HEADER_BYTES + MAX_RECORD_BYTES;

/**
 * Whether OpenSSL can do something with `bytes`, the first that came from a client: they hold a
 * whole ClientHello, or begin with something that is none, or with one of more than 16 KB.
 */
export function isActionable(bytes: Buffer): boolean {
  // The header of the message may be spread over records, too.
  const header: number[] = [];
  let messageBytes = 0;
  for (let at = 0; ; ) {
    const record = bytes.subarray(at, at + RECORD_HEADER_BYTES);
    if (record.length > 0 && record[0] !== HANDSHAKE) return true;
    if (record.length > 1 && record[1] !== 3) return true;
    if (record.length < RECORD_HEADER_BYTES) return false;
    const length = record.readUInt16BE(3);
    if (length === 0 || length > MAX_RECORD_BYTES) return true;
    at += RECORD_HEADER_BYTES;
    const content = bytes.subarray(at, at + length);
    header.push(...content.subarray(0, MESSAGE_HEADER_BYTES - header.length));
    if (header.length > 0 && header[0] !== CLIENT_HELLO) return true;
    messageBytes += content.length;
    if (header.length === MESSAGE_HEADER_BYTES) {
      const [, high, middle, low] = header as [number, number, number, number];
      const wanted = MESSAGE_HEADER_BYTES + (high << 16) + (middle << 8) + low;
      if (wanted > MAX_HELLO_BYTES || messageBytes >= wanted) return true;
    }
    if (content.length < length) return false;
    at += length;
  }
}

/**
 * Reads from a fresh connection until `isActionable`, and calls `spoke` then, once. What was read
 * is put back, and reading is paused. The function that it returns stops that.
 */
export function awaitClientHello(socket: Socket, spoke: () => void): () => void {
  let bytes: Buffer = Buffer.alloc(0);
  const stop = () => {
    socket.off("data", onData);
    socket.pause();
  };
  const onData = (chunk: Buffer) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    if (!isActionable(bytes) && bytes.length <= MAX_HELLO_BYTES) return;
    stop();
    socket.unshift(bytes);
    spoke();
  };
  socket.on("data", onData);
  return stop;
}
