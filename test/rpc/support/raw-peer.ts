/**
 * A connection of ours, and its peer as nothing but messages: what it writes is up to the test,
 * what it hears comes as lines.
 */
import {
  type Capability,
  Connection,
  type ConnectionOptions,
  type Method,
  memoryTransportPair,
  type Transport,
} from "../../../src/rpc/index.js";
import { Content } from "../../../src/rpc/wire/content.js";
import { MessageWriter } from "../../../src/rpc/wire/encode.js";
import { DESCRIPTOR } from "../../../src/rpc/wire/layout.js";
import {
  NO_PATH,
  type Path,
  type WireDescriptor,
  type WireTarget,
} from "../../../src/rpc/wire/messages.js";
import { Box } from "./box.js";
import { describeStream } from "./describe.js";
import { refuse, settle } from "./pair.js";

export class RawPeer {
  readonly connection: Connection;
  readonly write = new MessageWriter(() => {});
  private readonly transport: Transport;
  private heard: Uint8Array[] = [];
  isClosed = false;

  constructor(bootstrap: () => Capability = refuse, options: Partial<ConnectionOptions> = {}) {
    const [ours, theirs] = memoryTransportPair();
    this.transport = theirs;
    theirs.start({
      onData: (chunk) => this.heard.push(new Uint8Array(chunk)),
      onDrain() {},
      onClose: () => {
        this.isClosed = true;
      },
    });
    this.connection = new Connection(ours, { bootstrap, ...options });
  }

  /** Sends what was written, and gives what was heard since the last time. */
  async exchange(): Promise<string[]> {
    this.transport.write(this.write.take());
    return this.listen();
  }

  /** Sends these bytes as they are. */
  send(bytes: Uint8Array): Promise<string[]> {
    this.transport.write([bytes]);
    return this.listen();
  }

  async listen(): Promise<string[]> {
    await settle();
    const bytes = Buffer.concat(this.heard);
    this.heard = [];
    return describeStream(bytes);
  }

  /** Writes a call with these capabilities, the first in pointer `Box.CAP`. */
  call(
    question: number,
    target: WireTarget,
    { interfaceId, methodId }: Method<Box, Box>,
    capabilities: readonly WireDescriptor[] = [],
    yourself = false,
  ): void {
    this.write.call(
      question,
      target,
      Number(interfaceId >> 32n),
      Number(interfaceId & 0xffff_ffffn),
      methodId,
      boxOf(capabilities.length),
      capabilities,
      yourself,
    );
  }

  /** Writes an answer with these capabilities, the first in pointer `Box.CAP`. */
  answer(id: number, capabilities: readonly WireDescriptor[] = []): void {
    this.write.returnResults(id, boxOf(capabilities.length), capabilities, false);
  }

  hangUp(): void {
    this.transport.close();
  }
}

/** A `Box` with capabilities 0, 1, … from pointer `Box.CAP` on. */
function boxOf(capabilities: number): Content {
  const { dataByteLength, pointerLength } = Box._capnp.size;
  const words = new Uint32Array(2 * (1 + dataByteLength / 8 + pointerLength));
  words[1] = (dataByteLength / 8) | (pointerLength << 16);
  for (let i = 0; i < capabilities; i++) {
    words.set([3, i], 2 * (1 + dataByteLength / 8 + Box.CAP + i));
  }
  return new Content(words.buffer, words.byteLength);
}

/** Targets and descriptors, from the peer's point of view. */
export const onExport = (id: number): WireTarget => ({ kind: "export", id, path: NO_PATH });
export const onAnswer = (id: number, ...path: Path): WireTarget => ({ kind: "answer", id, path });

const descriptor =
  (tag: number) =>
  (id: number, ...path: Path): WireDescriptor => ({ tag, id, path });

export const hosted = descriptor(DESCRIPTOR.senderHosted);
export const promised = descriptor(DESCRIPTOR.senderPromise);
export const yours = descriptor(DESCRIPTOR.receiverHosted);
export const yourAnswer = descriptor(DESCRIPTOR.receiverAnswer);
