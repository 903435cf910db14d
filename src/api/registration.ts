/**
 * What a pool's capability file leads to: the right to join the pool as a worker.
 */
import { type Capability, method, RpcError, serve } from "../rpc/index.js";
import { capabilityOf, requiredCapability } from "./calls.js";
import { Registration$Client } from "./generated/ocluster.js";

const [REGISTER] = Registration$Client.methods;

export interface Registering {
  readonly name: string;
  /** How many jobs it runs at a time. */
  readonly capacity: number;
  /** The `Worker`; taken. */
  readonly worker: Capability;
}

export interface RegistrationService {
  /**
   * Lets a worker in and returns its `Queue`, owned by the caller. What it throws goes to the
   * worker.
   */
  register(worker: Registering, signal: AbortSignal): Capability | Promise<Capability>;
}

export function local(service: RegistrationService): Capability {
  return serve("Registration", [
    method(REGISTER, async (call) => {
      const { name, capacity } = call.params;
      const worker = requiredCapability(call, 1, "Missing worker argument!");
      const queue = await service.register({ name, capacity, worker }, call.signal);
      call.results();
      call.setCapability(0, queue);
    }),
  ]);
}

/** Joins the pool. The result is the `Queue`, usable at once; broken if the worker is refused. */
export function register(
  registration: Capability,
  { name, capacity, worker }: Registering,
): Capability {
  const call = registration.call(REGISTER, (params, payload) => {
    params.name = name;
    params.capacity = capacity;
    payload.setCapability(1, worker);
  });
  return capabilityOf(call, 0);
}

/**
 * Whether a worker was refused because another of its name is connected: so our schedulers say it,
 * and the reference's.
 */
export function isNameTaken(error: unknown): boolean {
  return (
    error instanceof RpcError &&
    error.kind === "failed" &&
    error.message.includes("already registered")
  );
}
