/** Bytes: how a stream is cut into messages, what is read from one, and what is refused. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_LIMITS, type Limits, method, serve } from "../../src/rpc/index.js";
import { PayloadWriter } from "../../src/rpc/payload/builder.js";
import { Payload } from "../../src/rpc/payload/payload.js";
import { Content, FramePointer } from "../../src/rpc/wire/content.js";
import { MessageSplitter } from "../../src/rpc/wire/framing.js";
import { FrameReader, WireError } from "../../src/rpc/wire/reader.js";
import { Box, echo } from "./support/box.js";
import { NOTHING } from "./support/pair.js";
import { RawPeer } from "./support/raw-peer.js";

/** A message of these segments, each given as the halves of its words. */
function message(...segments: number[][]): Uint8Array {
  const header = [segments.length - 1, ...segments.map((words) => words.length / 2)];
  if (header.length % 2 === 1) header.push(0);
  return new Uint8Array(Uint32Array.from([...header, ...segments.flat()]).buffer);
}

function frameOf(bytes: Uint8Array, limits: Limits = DEFAULT_LIMITS): FrameReader {
  const frame = new FrameReader(limits);
  frame.reset(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
  return frame;
}

/** The root of a message, checked and copied out; as hex. */
function copied(bytes: Uint8Array, limits?: Limits): string | undefined {
  const frame = frameOf(bytes, limits);
  const content = new FramePointer(frame, 0, frame.root).check().toContent();
  return content && Buffer.from(content.buffer, 0, content.byteLength).toString("hex");
}

function hex(...words: number[]): string {
  return Buffer.from(Uint32Array.from(words).buffer).toString("hex");
}

/** Gives each message whole, in a copy. */
function splitterInto(give: (message: Buffer) => void): MessageSplitter {
  return new MessageSplitter(DEFAULT_LIMITS, (bytes, view, start) => {
    const segments = view.getUint32(start, true) + 1;
    let length = ((segments + 2) >> 1) * 8;
    for (let i = 0; i < segments; i++) length += view.getUint32(start + 4 + 4 * i, true) * 8;
    give(Buffer.from(bytes.subarray(start, start + length)));
    return true;
  });
}

describe("a stream is cut into messages", () => {
  const stream = fc.array(
    fc.array(fc.nat(20), { minLength: 1, maxLength: 5 }).map((sizes) => {
      return message(...sizes.map((words, i) => new Array(words * 2).fill(i + 1)));
    }),
    { maxLength: 8 },
  );

  test("wherever its chunks end", () => {
    fc.assert(
      fc.property(stream, fc.array(fc.integer({ min: 1, max: 40 })), (messages, cuts) => {
        const got: string[] = [];
        const splitter = splitterInto((bytes) => got.push(bytes.toString("hex")));
        const bytes = Buffer.concat(messages);
        let at = 0;
        for (let i = 0; at < bytes.length; i++) {
          const end = at + (cuts[i % cuts.length] ?? bytes.length);
          splitter.push(new Uint8Array(bytes.subarray(at, end)));
          at = end;
        }
        expect(got).toEqual(messages.map((one) => Buffer.from(one).toString("hex")));
        expect(splitter.bufferedBytes).toBe(0);
      }),
    );
  });

  test("though large messages of several streams come in at the same time", () => {
    const words = fc.oneof(fc.integer({ min: 400, max: 20_000 }), fc.constant(200_000));
    const streams = fc.array(fc.array(words, { minLength: 1, maxLength: 4 }), { minLength: 2 });
    fc.assert(
      fc.property(streams, fc.integer({ min: 1000, max: 300_000 }), (sizes, chunk) => {
        let mark = 0;
        const open = sizes.map((stream) => {
          const got: Buffer[] = [];
          const sent = stream.map((count) => {
            const header = Buffer.from(Uint32Array.of(0, count).buffer);
            return Buffer.concat([header, Buffer.alloc(8 * count, ++mark)]);
          });
          const splitter = splitterInto((one) => got.push(one));
          return { got, sent, splitter, bytes: Buffer.concat(sent) };
        });
        const end = Math.max(...open.map(({ bytes }) => bytes.length));
        for (let at = 0; at < end; at += chunk) {
          for (const { bytes, splitter } of open) splitter.push(bytes.subarray(at, at + chunk));
        }
        for (const { got, sent } of open) {
          expect(got.map((one, i) => one.equals(sent[i]!))).toEqual(sent.map(() => true));
        }
      }),
      { numRuns: 15 },
    );
  });

  test("what is announced is not allocated before it comes", () => {
    const splitter = new MessageSplitter(DEFAULT_LIMITS, () => true);
    const before = process.memoryUsage().arrayBuffers;
    splitter.push(new Uint8Array(Uint32Array.of(0, 8 * 1024 * 1024, 1, 2).buffer));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4e6);
    expect(splitter.bufferedBytes).toBe(16);
  });

  test.each([
    [
      "too many segments",
      Uint32Array.of(100_000_000, 1, 1, 1),
      "segments is over the limit of 512",
    ],
    ["too many bytes", Uint32Array.of(0, 0xffff_ffff), "bytes is over the limit of 67108864"],
  ])("%s are refused by the header alone", (_, words, reason) => {
    const splitter = new MessageSplitter(DEFAULT_LIMITS, () => true);
    expect(() => splitter.push(new Uint8Array(words.buffer))).toThrow(reason);
  });
});

describe("content is copied out of a message", () => {
  const TREE = hex(0, 0x10001, 42, 0, 1, 0x1a, 0x636261, 0);

  test("from one segment", () => {
    expect(copied(message([0, 0x10001, 42, 0, 1, 0x1a, 0x636261, 0]))).toBe(TREE);
  });

  test("from wherever it lies in it", () => {
    expect(copied(message([8, 0x10001, 9, 9, 9, 9, 42, 0, 5, 0x1a, 7, 7, 0x636261, 0]))).toBe(TREE);
  });

  test("through far pointers", () => {
    // Segment 0: far to segment 1, word 1. There: the struct. Its list: far to segment 2, word 0.
    const far = message(
      [2 | (1 << 3), 1],
      [0, 0, 0, 0x10001, 42, 0, 2, 2],
      [1 | (1 << 2), 0x1a, 0, 0, 0x636261, 0],
    );
    expect(copied(far)).toBe(TREE);
  });

  test("through double far pointers", () => {
    const far = message(
      [6 | (1 << 3), 1],
      [9, 9, 2 | (1 << 3), 2, 0, 0x10001],
      [9, 9, 42, 0, 1, 0x1a, 0x636261, 0],
    );
    expect(copied(far)).toBe(TREE);
  });

  test("a null pointer is nothing, and an empty struct something", () => {
    expect(copied(message([0, 0]))).toBeUndefined();
    expect(copied(message([0xffff_fffc, 0]))).toBe(hex(0xffff_fffc, 0));
  });

  test("lists of structs, with pointers and capabilities in them", () => {
    const words = [1, 7 | (4 << 3), 2 << 2, 0x10001, 1, 0, 3, 5, 2, 0, 1, (2 << 3) | 2, 0x6261, 0];
    expect(copied(message(words))).toBe(hex(...words));
  });
});

describe("content is refused", () => {
  const nested = (depth: number) =>
    message(
      Array.from({ length: depth }, () => [0, 0x10000])
        .flat()
        .concat([0, 0]),
    );

  test.each<[string, Uint8Array, string]>([
    ["a pointer beyond its segment", message([40, 0x10001, 0, 0]), "leaves its segment"],
    ["a pointer before its segment", message([0xffff_fff0, 0x10001]), "leaves its segment"],
    ["a far pointer to no segment", message([2, 9]), "leaves the message"],
    ["a far pointer beyond a segment", message([2 | (9 << 3), 1], [0, 0]), "leaves its segment"],
    ["a far pointer to a far pointer", message([2, 1], [2, 0]), "malformed far pointer"],
    ["a double far pointer to no pad", message([6, 1], [0, 1, 0, 0]), "malformed far pointer"],
    ["a list longer than its segment", message([1, 2 | (100 << 3), 0, 0]), "leaves its segment"],
    [
      "structs beyond their list",
      message([1, 7 | (1 << 3), 8, 1, 0, 0]),
      "longer than its content",
    ],
    ["a tag that is none", message([1, 7 | (1 << 3), 1, 1, 0, 0]), "malformed list of structs"],
    ["a pointer of no kind", message([7, 0]), "unknown kind of pointer"],
    [
      "two pointers to one content",
      message([0, 2 << 16, 4, 2, 0, 2, 9, 9, 9, 9]),
      "pointers overlap",
    ],
    ["a pointer to itself", message([0, 1 << 16, 0xffff_fff8, 1 << 16]), "overlap"],
    ["more nesting than anyone needs", nested(66), "nested too deep"],
    ["half a billion nothings", message([1, (0x1000_0000 << 3) | 0]), "too many empty"],
    ["nothings in structs", message([1, 7, 0x3fff_fffc, 0]), "too many empty"],
    ["a message without a root", message([]), "the message has no root"],
  ])("%s", (_, bytes, reason) => {
    const start = process.cpuUsage();
    expect(() => copied(bytes)).toThrow(reason);
    expect(process.cpuUsage(start).user).toBeLessThan(100_000);
  });

  test("just not when it is nested as deep as it may be", () => {
    expect(copied(nested(64))).toHaveLength(65 * 16);
  });

  test("garbage, whatever it is, with a WireError and nothing else", () => {
    const words = fc.array(
      fc.oneof(fc.nat(40), fc.nat(), fc.constantFrom(0xffff_fffc, 0x7fff_ffff, 1, 2, 3, 6)),
      { minLength: 2, maxLength: 60 },
    );
    fc.assert(
      fc.property(words, words, (a, b) => {
        const even = (list: number[]) => list.slice(0, list.length & ~1);
        try {
          copied(message(even(a), even(b)));
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe("typed structs on content", () => {
  const text = fc.string({ unit: "binary", maxLength: 50 });

  test("come back as they were written", () => {
    fc.assert(
      fc.property(fc.nat(), text, fc.uint8Array({ maxLength: 200 }), (number, text, data) => {
        const writer = new PayloadWriter(Box);
        writer.root.number = number;
        writer.root.text = text;
        writer.root.initData(data.length).copyBuffer(data);
        const written = writer.finish();
        const kept = written.field(0);
        const again = new PayloadWriter(Box);
        again.setPointer(0, kept);
        again.setPointer(1, written.field(1));
        const read = again.finish().as(Box);
        expect(written.as(Box).number).toBe(number);
        expect(read.text).toBe(text);
        expect(Buffer.from(read.data.toUint8Array())).toEqual(Buffer.from(data));
      }),
    );
  });

  test("of an older peer, which knows fewer fields, read as defaults", () => {
    const older = new Payload(new Content(Uint32Array.of(0, 0).buffer, 8), []).as(Box);
    expect([older.number, older.text, older.data.length]).toEqual([0, "", 0]);
    const nothing = new Payload(undefined, []).as(Box);
    expect([nothing.number, nothing.text, nothing.data.length]).toEqual([0, "", 0]);
  });

  test("that grow piece by piece take linear time", () => {
    const writer = new PayloadWriter(Box);
    // A megabyte, a hundred bytes at a time.
    const start = process.cpuUsage();
    for (let i = 0; i < 10_000; i++) {
      writer.root.segment.allocate(104);
    }
    expect(process.cpuUsage(start).user).toBeLessThan(500_000);
    expect((writer.finish().content as Content).byteLength).toBeGreaterThan(1_000_000);
  });
});

test("a peer over a limit loses its connection, with the reason; others notice nothing", async () => {
  const service = serve("echo", [method(echo, (call) => void call.results())]);
  const good = new RawPeer(() => service.dup());
  const bad = new RawPeer(() => service.dup());
  const heard = await bad.send(new Uint8Array(Uint32Array.of(100_000_000, 1).buffer));
  expect(heard).toEqual(["abort failed: a message of 100000001 segments is over the limit of 512"]);
  expect(bad.isClosed).toBe(true);
  good.write.bootstrap(0, new Uint8Array(0));
  expect(await good.exchange()).toEqual(["return 0 results [sender:0]"]);
  expect(bad.connection.stats()).toEqual(NOTHING);
});
