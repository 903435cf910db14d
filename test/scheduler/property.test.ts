/** The pool against a model of it that is slow and obvious: the same decisions, the same text. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { runPoolTrace } from "../conformance/pool-trace.js";
import { history, traceOf } from "./history.js";

test("10,000 random histories go as the model says", { timeout: 600_000 }, () => {
  fc.assert(
    fc.property(history, (moves) => {
      const trace = traceOf(moves);
      // The whole trace is the best description of a failure; fast-check adds the seed.
      expect(runPoolTrace(trace), trace).toEqual([]);
    }),
    { numRuns: 10_000 },
  );
});
