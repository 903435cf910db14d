/**
 * Having a worker end itself: what our workers offer beyond the shared contract. Others answer
 * "unimplemented".
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, done } from "./calls.js";
import { Retirement$Client } from "./generated/extensions.js";

const [RETIRE] = Retirement$Client.methods;

export interface RetirementService {
  /** Takes no more jobs, finishes those that run, and ends. `reason` is for its log. */
  retire(reason: string): void;
}

/** The method of a `Worker` that makes it a `Retirement`, too. */
export function retirementMethods(service: RetirementService): MethodEntry[] {
  return [method(RETIRE, ({ params }) => service.retire(params.reason))];
}

/** See `RetirementService.retire`. Answered at once. */
export function retire(worker: Capability, reason: string, options?: CallOptions): Promise<void> {
  const call = worker.call(
    RETIRE,
    (params) => {
      params.reason = reason;
    },
    options,
  );
  return done(call);
}
