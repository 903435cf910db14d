/*
 * What a container prints, as a Docker engine sends it: in frames that say whether it was printed
 * to standard output or to standard error.
 */

/** A byte for the stream, three that are zero, and the length (32 bits, big-endian). */
const HEADER = 8;

/** The content of the frames, as it comes. */
export async function* withoutFrames(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const header = Buffer.alloc(HEADER);
  let filled = 0;
  let left = 0;
  for await (const chunk of stream) {
    let data = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (data.length > 0) {
      if (left > 0) {
        const content = data.subarray(0, left);
        left -= content.length;
        data = data.subarray(content.length);
        yield content;
        continue;
      }
      const copied = data.copy(header, filled);
      filled += copied;
      data = data.subarray(copied);
      if (filled < HEADER) continue;
      filled = 0;
      left = header.readUInt32BE(4);
    }
  }
}
