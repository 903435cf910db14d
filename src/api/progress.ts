/**
 * Where somebody who waits for a long operation wants to be told how it goes.
 */
import { type Capability, method, serve } from "../rpc/index.js";
import { type CallOptions, done } from "./calls.js";
import { Progress$Client } from "./generated/ocluster.js";

const [REPORT] = Progress$Client.methods;

/** Calls `report` with each status: a short line of text for people. */
export function local(report: (status: string) => void): Capability {
  return serve("Progress", [method(REPORT, ({ params }) => report(params.status))]);
}

export function report(progress: Capability, status: string, options?: CallOptions): Promise<void> {
  const call = progress.call(
    REPORT,
    (params) => {
      params.status = status;
    },
    options,
  );
  return done(call);
}
