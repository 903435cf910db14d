/**
 * Messages as lines of text, for tests that look at what goes over the wire.
 *
 * Capabilities: `sender:3`, `promise:3`, `receiver:3`, `answer:2.0.1` (question 2, path 0, 1).
 * Targets alike: `export:3`.
 */

import { DEFAULT_LIMITS } from "../../../src/rpc/index.js";
import {
  readCall,
  readDescriptor,
  readException,
  readObjectId,
  readPayload,
  readReturn,
  readTarget,
} from "../../../src/rpc/wire/decode.js";
import { MessageSplitter } from "../../../src/rpc/wire/framing.js";
import {
  DESCRIPTOR,
  DISEMBARGO,
  MESSAGE,
  RESOLVE,
  RETURN,
  SEND_RESULTS_TO,
} from "../../../src/rpc/wire/layout.js";
import type { WireDescriptor, WireTarget } from "../../../src/rpc/wire/messages.js";
import { FrameReader, type StructReader } from "../../../src/rpc/wire/reader.js";

/** All messages in `bytes`, a stream. */
export function describeStream(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  eachMessage(bytes, (body, tag) => lines.push(describeMessage(tag, body)));
  return lines;
}

/** The messages in `bytes`, a stream, each with its header. */
export function messages(bytes: Uint8Array): Uint8Array[] {
  const starts: number[] = [];
  new MessageSplitter(DEFAULT_LIMITS, (_, __, start) => {
    starts.push(start);
    return true;
  }).push(bytes);
  // Copies: `slice` of a Buffer is none.
  return starts.map((start, i) => new Uint8Array(bytes.subarray(start, starts[i + 1])));
}

/** Calls `visit` with the body of each message and its tag in `Message`. */
export function eachMessage(
  bytes: Uint8Array,
  visit: (body: StructReader, tag: number) => void,
): void {
  const frame = new FrameReader(DEFAULT_LIMITS);
  const splitter = new MessageSplitter(DEFAULT_LIMITS, (chunk, view, start) => {
    frame.reset(chunk, view, start);
    const message = frame.struct(0, frame.root)!;
    visit(message.struct(0)!, message.u16(0));
    return true;
  });
  splitter.push(bytes);
}

function describeMessage(tag: number, body: StructReader): string {
  switch (tag) {
    case MESSAGE.abort:
      return `abort ${exception(body)}`;
    case MESSAGE.bootstrap:
      return `bootstrap ${body.u32(0)} id of ${readObjectId(body).byteLength} bytes`;
    case MESSAGE.call:
      return call(body);
    case MESSAGE.return:
      return returned(body);
    case MESSAGE.finish:
      return `finish ${body.u32(0)}${body.bit(32) ? "" : " releasing results"}`;
    case MESSAGE.resolve: {
      const what =
        body.u16(4) === RESOLVE.cap
          ? capability(readDescriptor(body.struct(0)!))
          : exception(body.struct(0));
      return `resolve ${body.u32(0)} to ${what}`;
    }
    case MESSAGE.release:
      return `release ${body.u32(0)} × ${body.u32(4)}`;
    case MESSAGE.disembargo: {
      const context = body.u16(4) === DISEMBARGO.senderLoopback ? "request" : "reply";
      return `disembargo ${context} ${body.u32(0)} to ${target(readTarget(body.struct(0)))}`;
    }
    case MESSAGE.unimplemented:
      return `unimplemented (${describeMessage(body.u16(0), body.struct(0)!)})`;
    default:
      return `message ${tag}`;
  }
}

function call(body: StructReader): string {
  const { question, interfaceHigh, interfaceLow, methodId, sendResultsTo, ...rest } =
    readCall(body);
  const id = (BigInt(interfaceHigh) << 32n) | BigInt(interfaceLow);
  const { capabilities } = readPayload(rest.payload);
  const yourself = sendResultsTo === SEND_RESULTS_TO.yourself ? " yourself" : "";
  const where = `${target(rest.target)} 0x${id.toString(16)}.${methodId}`;
  return `call ${question} ${where}${table(capabilities)}${yourself}`;
}

function returned(body: StructReader): string {
  const { answer, tag, releaseParamCaps, noFinishNeeded, otherQuestion } = readReturn(body);
  const flags = `${releaseParamCaps ? " releasing params" : ""}${noFinishNeeded ? " final" : ""}`;
  switch (tag) {
    case RETURN.results:
      return `return ${answer} results${table(readPayload(body.struct(0)).capabilities)}${flags}`;
    case RETURN.exception:
      return `return ${answer} ${exception(body.struct(0))}${flags}`;
    case RETURN.canceled:
      return `return ${answer} canceled${flags}`;
    case RETURN.resultsSentElsewhere:
      return `return ${answer} elsewhere${flags}`;
    case RETURN.takeFromOtherQuestion:
      return `return ${answer} as ${otherQuestion}${flags}`;
    default:
      return `return ${answer} kind ${tag}`;
  }
}

function exception(body: StructReader | undefined): string {
  const { kind, reason } = readException(body);
  return `${kind}: ${reason}`;
}

function table(capabilities: readonly WireDescriptor[]): string {
  return capabilities.length === 0 ? "" : ` [${capabilities.map(capability).join(" ")}]`;
}

const NAMES = {
  [DESCRIPTOR.none]: "none",
  [DESCRIPTOR.senderHosted]: "sender",
  [DESCRIPTOR.senderPromise]: "promise",
  [DESCRIPTOR.receiverHosted]: "receiver",
  [DESCRIPTOR.receiverAnswer]: "answer",
  [DESCRIPTOR.thirdPartyHosted]: "vine",
};

function capability({ tag, id, path }: WireDescriptor): string {
  return [`${NAMES[tag as keyof typeof NAMES]}:${id}`, ...path].join(".");
}

function target({ kind, id, path }: WireTarget): string {
  return [`${kind}:${id}`, ...path].join(".");
}
