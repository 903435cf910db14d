/**
 * Reads the messages of rpc.capnp. Unknown tags are left to the caller, who knows what to answer;
 * malformed bytes throw `WireError`.
 */
import { ERROR_KINDS } from "../errors.js";
import { FramePointer } from "./content.js";
import { DESCRIPTOR, TARGET, TRANSFORM } from "./layout.js";
import {
  NO_DESCRIPTORS,
  NO_PATH,
  type Path,
  type WireDescriptor,
  type WireException,
  type WireTarget,
} from "./messages.js";
import { type ListReader, type StructReader, WireError } from "./reader.js";

/** Longest path of a promised answer: each step is a nested struct. */
const MAX_PATH = 64;

/**
 * Most capabilities in a message: more than any interface asks for. Each takes a microsecond, a
 * full message of them seconds.
 */
const MAX_CAPABILITIES = 16_384;

export interface WirePayload {
  readonly content: FramePointer | undefined;
  readonly capabilities: readonly WireDescriptor[];
}

const NO_PAYLOAD: WirePayload = { content: undefined, capabilities: NO_DESCRIPTORS };

export interface WireCall {
  readonly question: number;
  readonly target: WireTarget;
  readonly interfaceHigh: number;
  readonly interfaceLow: number;
  readonly methodId: number;
  /** One of `SEND_RESULTS_TO`, or unknown. */
  readonly sendResultsTo: number;
  readonly payload: StructReader | undefined;
}

export function readCall(call: StructReader): WireCall {
  return {
    question: call.u32(0),
    target: readTarget(call.struct(0)),
    interfaceLow: call.u32(8),
    interfaceHigh: call.u32(12),
    methodId: call.u16(4),
    sendResultsTo: call.u16(6),
    payload: call.struct(1),
  };
}

export interface WireReturn {
  readonly answer: number;
  readonly releaseParamCaps: boolean;
  readonly noFinishNeeded: boolean;
  /** One of `RETURN`, or unknown. */
  readonly tag: number;
  readonly otherQuestion: number;
  /** The `Return` itself, for `readPayload(body.struct(0))` and `readException`. */
  readonly body: StructReader;
}

export function readReturn(body: StructReader): WireReturn {
  return {
    answer: body.u32(0),
    releaseParamCaps: !body.bit(32),
    noFinishNeeded: body.bit(33),
    tag: body.u16(6),
    otherQuestion: body.u32(8),
    body,
  };
}

export function readPayload(payload: StructReader | undefined): WirePayload {
  if (payload === undefined) return NO_PAYLOAD;
  const at = payload.pointer(0);
  const list = payload.list(1);
  return {
    content: at < 0 ? undefined : new FramePointer(payload.frame, payload.segment, at),
    capabilities: list === undefined ? NO_DESCRIPTORS : readTable(list),
  };
}

function readTable(list: ListReader): WireDescriptor[] {
  const { length } = list;
  // An element without content costs the sender nothing, and describes nothing.
  if (length > 0 && list.dataBytes + list.pointerCount === 0) {
    throw new WireError("empty capability descriptors");
  }
  if (length > MAX_CAPABILITIES) {
    throw new WireError(
      `${length} capabilities in a message are over the limit of ${MAX_CAPABILITIES}`,
    );
  }
  const descriptors = new Array<WireDescriptor>(length);
  for (let i = 0; i < length; i++) descriptors[i] = readDescriptor(list.struct(i));
  return descriptors;
}

export function readDescriptor(descriptor: StructReader): WireDescriptor {
  const tag = descriptor.u16(0);
  switch (tag) {
    case DESCRIPTOR.none:
    case DESCRIPTOR.senderHosted:
    case DESCRIPTOR.senderPromise:
    case DESCRIPTOR.receiverHosted:
      return { tag, id: descriptor.u32(4), path: NO_PATH };
    case DESCRIPTOR.receiverAnswer: {
      const answer = required(descriptor.struct(0), "a promised answer");
      return { tag, id: answer.u32(0), path: readPath(answer) };
    }
    case DESCRIPTOR.thirdPartyHosted: {
      const thirdParty = required(descriptor.struct(0), "a third party's capability");
      return { tag, id: thirdParty.u32(0), path: NO_PATH };
    }
    default:
      throw new WireError(`unknown kind ${tag} of capability descriptor`);
  }
}

export function readTarget(target: StructReader | undefined): WireTarget {
  const reader = required(target, "a target");
  const tag = reader.u16(4);
  switch (tag) {
    case TARGET.importedCap:
      return { kind: "export", id: reader.u32(0), path: NO_PATH };
    case TARGET.promisedAnswer: {
      const answer = required(reader.struct(0), "a promised answer");
      return { kind: "answer", id: answer.u32(0), path: readPath(answer) };
    }
    default:
      throw new WireError(`unknown kind ${tag} of target`);
  }
}

export function readException(exception: StructReader | undefined): WireException {
  if (exception === undefined) return { kind: "failed", reason: "" };
  const reason = exception.list(0);
  return {
    // Kinds that are newer than we are count as failures.
    kind: ERROR_KINDS[exception.u16(4)] ?? "failed",
    reason: reason === undefined ? "" : reason.text(),
  };
}

/**
 * The raw bytes of `Bootstrap.deprecatedObjectId`, a Text; empty for the default service. Copied.
 */
export function readObjectId(bootstrap: StructReader): Uint8Array {
  const list = bootstrap.list(0);
  if (list === undefined) return new Uint8Array(0);
  const bytes = list.bytes();
  const end = bytes.at(-1) === 0 ? bytes.byteLength - 1 : bytes.byteLength;
  // (A `Buffer`'s `slice` is no copy.)
  return new Uint8Array(bytes.subarray(0, end));
}

function readPath(answer: StructReader): Path {
  const list = answer.list(0);
  if (list === undefined || list.length === 0) return NO_PATH;
  if (list.length > MAX_PATH) throw new WireError("the path of a promised answer is too long");
  const path: number[] = [];
  for (let i = 0; i < list.length; i++) {
    const step = list.struct(i);
    const tag = step.u16(0);
    if (tag === TRANSFORM.getPointerField) path.push(step.u16(2));
    else if (tag !== TRANSFORM.noop) throw new WireError(`unknown step ${tag} in a path`);
  }
  return path;
}

function required(reader: StructReader | undefined, what: string): StructReader {
  if (reader === undefined) throw new WireError(`${what} is missing`);
  return reader;
}
