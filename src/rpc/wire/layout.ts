/**
 * The numbers of rpc.capnp (file id 0xb312981b2552a250): union tags as they are on the wire. The
 * places of the fields are next to the code that reads (decode.ts) and writes (encode.ts) them.
 */

export const MESSAGE = {
  unimplemented: 0,
  abort: 1,
  call: 2,
  return: 3,
  finish: 4,
  resolve: 5,
  release: 6,
  bootstrap: 8,
  disembargo: 13,
} as const;

export const RETURN = {
  results: 0,
  exception: 1,
  canceled: 2,
  resultsSentElsewhere: 3,
  takeFromOtherQuestion: 4,
} as const;

export const DESCRIPTOR = {
  none: 0,
  senderHosted: 1,
  senderPromise: 2,
  receiverHosted: 3,
  receiverAnswer: 4,
  thirdPartyHosted: 5,
} as const;

export const TARGET = { importedCap: 0, promisedAnswer: 1 } as const;

export const SEND_RESULTS_TO = { caller: 0, yourself: 1 } as const;

export const DISEMBARGO = { senderLoopback: 0, receiverLoopback: 1 } as const;

export const RESOLVE = { cap: 0, exception: 1 } as const;

export const TRANSFORM = { noop: 0, getPointerField: 1 } as const;

/** Kinds of pointers, the low two bits of each (encoding.md). */
export const POINTER = { struct: 0, list: 1, far: 2, other: 3 } as const;

/** Element sizes of lists (encoding.md). */
export const LIST = { void: 0, bit: 1, byte: 2, pointer: 6, composite: 7 } as const;

export const WORD = 8;
