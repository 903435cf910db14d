/** Ways to spoil a stream of messages. */
import type { Random } from "../model/random.js";

/** Values that sit at the edges of what fields mean. */
const EDGES = [
  0, 1, 2, 3, 7, 8, 0x7f, 0xff, 0x7fff, 0xffff, 0x3fffffff, 0x7fffffff, 0xfffffffe, 0xffffffff,
];

/** `all`: messages of any session, to splice in. Gives what to send in the place of `message`. */
export function mutate(
  random: Random,
  message: Uint8Array,
  all: readonly Uint8Array[],
): Uint8Array[] {
  switch (random.below(10)) {
    case 0:
      return [message, message];
    case 1:
      return [];
    case 2:
      return [message.subarray(0, random.below(message.length))];
    case 3:
      return [random.pick(all)!];
    case 4:
      return [random.pick(all)!, message];
    case 5:
      return [splice(random, message, random.pick(all)!)];
    default:
      return [scribble(random, message)];
  }
}

/** Changes a few places: bits, bytes, words' halves. */
function scribble(random: Random, message: Uint8Array): Uint8Array {
  const copy = new Uint8Array(message);
  const view = new DataView(copy.buffer);
  for (let n = 1 + random.below(3); n > 0; n--) {
    const at = random.below(copy.length);
    const word = at & -4;
    switch (random.below(5)) {
      case 0:
        copy[at]! ^= 1 << random.below(8);
        break;
      case 1:
        copy[at] = random.below(256);
        break;
      case 2:
        view.setUint32(word, random.pick(EDGES)!, true);
        break;
      case 3:
        view.setUint32(word, view.getUint32(word, true) + random.below(5) - 2, true);
        break;
      default:
        view.setUint16(at & -2, random.pick(EDGES)! & 0xffff, true);
    }
  }
  return copy;
}

/** The beginning of one, the end of another. */
function splice(random: Random, message: Uint8Array, other: Uint8Array): Uint8Array {
  const at = random.below(Math.min(message.length, other.length)) & -8;
  const copy = new Uint8Array(message);
  copy.set(other.subarray(at, Math.min(other.length, copy.length)), at);
  return copy;
}
