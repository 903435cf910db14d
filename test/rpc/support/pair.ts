/**
 * Two connected ends in this process, and the means to wait until nothing happens any more.
 */
import { expect } from "vitest";
import {
  type Capability,
  Connection,
  type ConnectionStats,
  type Limits,
  memoryTransportPair,
  RpcError,
} from "../../../src/rpc/index.js";

export interface Pair {
  readonly client: Connection;
  readonly server: Connection;
}

/**
 * `service`: what the server gives on bootstrap; `back`: what the client gives. Both are taken at
 * each bootstrap.
 */
export function connect(
  service: () => Capability,
  back: () => Capability = refuse,
  limits: Partial<Limits> = {},
): Pair {
  const [a, b] = memoryTransportPair();
  return {
    server: new Connection(a, { bootstrap: service, limits }),
    client: new Connection(b, { bootstrap: back, limits }),
  };
}

export function refuse(): never {
  throw new RpcError("failed", "Unknown persistent service ID");
}

/** Lets everything that is under way in this process come to rest. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

export const NOTHING: ConnectionStats = {
  questions: 0,
  answers: 0,
  imports: 0,
  exports: 0,
  embargoes: 0,
  callsInFlight: 0,
  leaks: 0,
  outboundBytes: 0,
};

/** Asserts that neither end holds anything, and closes. */
export async function expectNothingLeft({ client, server }: Pair): Promise<void> {
  await settle();
  expect({ client: client.stats(), server: server.stats() }).toEqual({
    client: NOTHING,
    server: NOTHING,
  });
  client.close();
  await server.closed;
}
