/**
 * Which pools there are, for clients: what our schedulers' `Submission`s offer beyond the shared
 * contract. Others answer "unimplemented".
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, resultOf, writeTexts } from "./calls.js";
import { PoolDirectory$Client } from "./generated/extensions.js";

const [POOLS] = PoolDirectory$Client.methods;

/** A pool as everybody may see it: nothing tells who uses it. */
export interface PoolSummary {
  readonly name: string;
  /** Those that are connected. */
  readonly workers: number;
  /** Jobs that these can run at a time. */
  readonly capacity: number;
  readonly running: number;
  readonly queued: number;
  /** How many of the workers have each ability. */
  readonly able: readonly { readonly ability: string; readonly workers: number }[];
  /** Of the largest machine of those that have said so; 0: none has. `memory` is in bytes. */
  readonly cpus: number;
  readonly memory: number;
  /** As Go calls them, such as "amd64". */
  readonly architectures: readonly string[];
}

export interface PoolDirectoryService {
  /** Sorted by name. */
  pools(): readonly PoolSummary[];
}

/** The method of a client's service that makes it a `PoolDirectory`, too. */
export function poolDirectoryMethods(service: PoolDirectoryService): MethodEntry[] {
  return [
    method(POOLS, (call) => {
      const pools = service.pools();
      const list = call.results()._initPools(pools.length);
      for (const [index, { able, architectures, memory, ...rest }] of pools.entries()) {
        const wire = Object.assign(list.get(index), rest);
        wire.memory = BigInt(memory);
        const abilities = wire._initAble(able.length);
        for (const [at, each] of able.entries()) Object.assign(abilities.get(at), each);
        writeTexts(wire._initArchitectures(architectures.length), architectures);
      }
    }),
  ];
}

/** The pools, now. Rejects as "unimplemented" if the scheduler does not tell. */
export function pools(submission: Capability, options?: CallOptions): Promise<PoolSummary[]> {
  return resultOf(submission.call(POOLS, undefined, options), (results) =>
    results.pools.map(
      ({ able, architectures, capacity, cpus, memory, name, queued, running, workers }) => ({
        ...{ name, workers, capacity, running, queued, cpus },
        able: able.map((each) => ({ ability: each.ability, workers: each.workers })),
        memory: Number(memory),
        architectures: architectures.toArray(),
      }),
    ),
  );
}
