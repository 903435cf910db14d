/**
 * A registered worker's end of the scheduler's queue. Giving it up is to disconnect.
 */
import {
  type Caller,
  type Capability,
  type DetachedPointer,
  type MethodEntry,
  method,
  serve,
} from "../rpc/index.js";
import { type CallOptions, done, requiredCapability } from "./calls.js";
import { Queue$Client } from "./generated/ocluster.js";

const [POP, SET_ACTIVE] = Queue$Client.methods;

export interface QueueService {
  /**
   * Finds a job for the worker; answered when there is one. `job` is the worker's side of it, owned
   * by this function. The result is a `JobDescr`, released when it has been sent.
   */
  pop(job: Capability, caller: Caller): DetachedPointer | Promise<DetachedPointer>;
  /** The worker wants jobs, or none for now. */
  setActive(active: boolean): void;
  /** The worker is gone. */
  release(): void;
}

/** `extensions`: methods of further interfaces that the object has. */
export function local(service: QueueService, extensions: readonly MethodEntry[] = []): Capability {
  return serve(
    "Queue",
    [
      method(POP, async (call) => {
        const descr = await service.pop(requiredCapability(call, 0, "Missing job!"), call);
        try {
          call.results();
          call.setPointer(0, descr);
        } finally {
          descr.release();
        }
      }),
      method(SET_ACTIVE, ({ params }) => service.setActive(params.active)),
      ...extensions,
    ],
    { release: () => service.release() },
  );
}

/**
 * Asks for a job to run; `job` is how the scheduler will reach it (taken). Waits until there is
 * one. The result is to be read by `readJobDescr`, and to be released.
 */
export async function pop(
  queue: Capability,
  job: Capability,
  options?: CallOptions,
): Promise<DetachedPointer> {
  const call = queue.call(POP, (_, payload) => payload.setCapability(0, job), options);
  try {
    return (await call.response).detach(0);
  } finally {
    call.cancel();
  }
}

/** Says whether the worker wants jobs. */
export function setActive(
  queue: Capability,
  active: boolean,
  options?: CallOptions,
): Promise<void> {
  const call = queue.call(
    SET_ACTIVE,
    (params) => {
      params.active = active;
    },
    options,
  );
  return done(call);
}
