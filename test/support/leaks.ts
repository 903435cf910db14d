/** Finds out whether capabilities were lost: garbage that nobody had released. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { leakedReferences } from "../../src/rpc/index.js";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** References lost in this process so far, all garbage counted. */
export async function countLeaks(): Promise<number> {
  for (let last = -1; last !== leakedReferences(); ) {
    last = leakedReferences();
    // Finalizers run in a turn of their own, and what they release may be garbage then.
    for (let n = 0; n < 3; n++) {
      await nextTurn();
      collectGarbage();
    }
    await nextTurn();
  }
  return leakedReferences();
}
